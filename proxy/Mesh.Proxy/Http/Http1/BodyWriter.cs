using Mesh.Proxy.Http.Streams;

namespace Mesh.Proxy.Http.Http1;

/// <summary>Writes a body as its head has promised it, or not at all: one byte too many would be taken for the beginning of another message.</summary>
internal struct BodyWriter
{
    private BodyKind _kind;
    private long _left;

    public readonly BodyKind Kind => _kind;

    /// <summary>The head has been sent.</summary>
    public bool HasStarted { get; private set; }

    public bool HasEnded { get; private set; }

    public void Clear() => this = default;

    public void Start(BodyFraming framing)
    {
        (_kind, _left) = (framing.Kind, framing.Length);
        HasStarted = true;
        HasEnded = false;
    }

    /// <summary>False when this is not what was promised; nothing is written then. Data of a message that has no body are dropped.</summary>
    public bool TryWrite(OutputQueue output, ReadOnlySpan<byte> data, bool end)
    {
        if (!HasStarted || HasEnded) return false;
        if (_kind == BodyKind.Length)
        {
            if (data.Length > _left || (end && data.Length < _left)) return false;
            _left -= data.Length;
        }

        HasEnded = end;
        if (output.HasFailed || _kind == BodyKind.None) return true;
        if (_kind == BodyKind.Chunked)
        {
            if (!data.IsEmpty) WriteChunk(output, data);
            if (end) output.Append(ChunkWriter.LastChunk);
            return true;
        }

        output.Append(data);
        // In a tunnel each direction ends by itself.
        if (end && _kind == BodyKind.Tunnel) output.EndWhenWritten();
        return true;
    }

    /// <summary>As <see cref="TryWrite"/>. Where there are no chunks there is no place for trailers, and they are dropped.</summary>
    public bool TryWriteTrailers(OutputQueue output, HeaderBlock trailers)
    {
        if (_kind != BodyKind.Chunked || !HasStarted || HasEnded || output.HasFailed) return TryWrite(output, default, end: true);
        HasEnded = true;
        var room = output.Reserve(trailers.ListSize + 8);
        if (!ChunkWriter.TryWriteEnd(trailers, room, out var written)) throw new InvalidOperationException("Trailers are longer than their size.");
        output.Commit(written);
        return true;
    }

    private static void WriteChunk(OutputQueue output, ReadOnlySpan<byte> data)
    {
        Span<byte> prefix = stackalloc byte[ChunkWriter.MaxPrefix];
        var length = ChunkWriter.WritePrefixBefore(prefix, data.Length);
        output.Append(prefix[^length..]);
        output.Append(data);
        output.Append(ChunkWriter.End);
    }
}
