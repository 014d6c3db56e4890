namespace Mesh.Identity.Tokens;

internal static class BoundedDocument
{
    /// <summary>Reads a stream to its end, refusing more than <see cref="TokenLimits.MaxDocumentBytes"/>.</summary>
    internal static async Task<ReadOnlyMemory<byte>> ReadAsync(Stream stream, string description, CancellationToken ct)
    {
        var buffer = new byte[16 * 1024];
        var length = 0;
        while (true)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(length), ct);
            if (read == 0) return buffer.AsMemory(0, length);
            length += read;
            if (length > TokenLimits.MaxDocumentBytes) throw new TokenKeysException($"{description}: the document is larger than {TokenLimits.MaxDocumentBytes} bytes");
            if (length == buffer.Length) Array.Resize(ref buffer, Math.Min(buffer.Length * 2, TokenLimits.MaxDocumentBytes + 1));
        }
    }
}
