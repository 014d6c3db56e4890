using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mesh.Spiffe;

/// <summary>
/// PEM (RFC 7468) without surprises: where the framework's reader silently skips a block that is cut off or damaged, this one says so,
/// because a bundle that has lost an anchor on the way must not be taken for a smaller bundle.
/// </summary>
internal static class Pem
{
    public const string Certificate = "CERTIFICATE";

    /// <summary>The longest text that is read, in characters, and the most blocks.</summary>
    public const int MaxLength = 4 * 1024 * 1024;

    /// <inheritdoc cref="MaxLength"/>
    public const int MaxBlocks = 256;

    private const string Begin = "-----BEGIN ";

    public static bool TryRead(string text, out List<PemBlock> blocks, out CertificateFault fault)
    {
        blocks = [];
        fault = CertificateFault.None;
        if (text.Length > MaxLength)
        {
            fault = CertificateFault.TooLarge;
            return false;
        }

        ReadOnlySpan<char> rest = text;
        while (true)
        {
            var begin = rest.IndexOf(Begin, StringComparison.Ordinal);
            if (begin < 0) return true;
            rest = rest[begin..];
            if (blocks.Count == MaxBlocks)
            {
                fault = CertificateFault.TooManyCertificates;
                return false;
            }

            if (!TryReadBlock(rest, out var block, out var consumed))
            {
                fault = CertificateFault.BadPem;
                return false;
            }

            blocks.Add(block.Value);
            rest = rest[consumed..];
        }
    }

    public static string Write(string label, ReadOnlySpan<byte> content) => PemEncoding.WriteString(label, content) + "\n";

    private static bool TryReadBlock(ReadOnlySpan<char> text, [NotNullWhen(true)] out PemBlock? block, out int consumed)
    {
        block = null;
        consumed = 0;
        // The framework would go on to the next well-formed block; only one right here is the one that was announced.
        if (!PemEncoding.TryFind(text, out var fields) || fields.Location.Start.Value != 0) return false;
        var content = new byte[fields.DecodedDataLength];
        if (!Convert.TryFromBase64Chars(text[fields.Base64Data], content, out var written) || written != content.Length) return false;
        block = new PemBlock(text[fields.Label].ToString(), content);
        consumed = fields.Location.End.Value;
        return true;
    }
}

/// <summary>One block of a PEM text. The content may be a private key, so it does not print.</summary>
internal readonly struct PemBlock(string label, byte[] content)
{
    public string Label { get; } = label;

    public byte[] Content { get; } = content;

    public override string ToString() => Label;
}
