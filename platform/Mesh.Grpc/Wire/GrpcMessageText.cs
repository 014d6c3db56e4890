using System.Buffers;
using System.Text;

namespace Mesh.Grpc.Wire;

/// <summary>
/// The <c>grpc-message</c> trailer: UTF-8, with every byte outside printable ASCII, and the percent sign, as %XX
/// (gRPC over HTTP2, "Percent-Encoded").
/// </summary>
public static class GrpcMessageText
{
    /// <summary>Longer sentences are cut, so that trailers always fit a peer's header limits.</summary>
    public const int MaxBytes = 2048;

    private static readonly SearchValues<char> Plain = SearchValues.Create(Enumerable.Range(' ', '~' - ' ' + 1).Where(c => c != '%').Select(c => (char)c).ToArray());

    /// <summary>The header form of a sentence; the sentence itself when nothing needs escaping.</summary>
    public static string Encode(string text)
    {
        if (text.Length <= MaxBytes && !text.AsSpan().ContainsAnyExcept(Plain)) return text;
        var bytes = Encoding.UTF8.GetBytes(text);
        var result = new StringBuilder(Math.Min(bytes.Length * 2, MaxBytes));
        for (var i = 0; i < bytes.Length && result.Length < MaxBytes;)
        {
            // A character that does not fit whole is left out whole.
            var length = Rune.DecodeFromUtf8(bytes.AsSpan(i), out _, out var consumed) == OperationStatus.Done ? consumed : 1;
            var width = length == 1 && Plain.Contains((char)bytes[i]) ? 1 : 3 * length;
            if (result.Length + width > MaxBytes) break;
            if (width == 1) result.Append((char)bytes[i]);
            else
                for (var j = 0; j < length; j++) result.Append('%').Append(bytes[i + j].ToString("X2", null));
            i += length;
        }

        return result.ToString();
    }

    /// <summary>The sentence of a header value. What is no valid escape is kept as it is: a status must not be lost to a bad sentence.</summary>
    public static string Decode(string value)
    {
        if (!value.Contains('%', StringComparison.Ordinal)) return value;
        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(value.Length)];
        var length = 0;
        for (var i = 0; i < value.Length; i++)
        {
            if (value[i] == '%' && i + 2 < value.Length && char.IsAsciiHexDigit(value[i + 1]) && char.IsAsciiHexDigit(value[i + 2]))
            {
                bytes[length++] = (byte)(Convert.ToInt32(value.Substring(i + 1, 2), 16) & 0xff);
                i += 2;
            }
            else
            {
                length += Encoding.UTF8.GetBytes(value.AsSpan(i, 1), bytes.AsSpan(length));
            }
        }

        return Encoding.UTF8.GetString(bytes, 0, length);
    }
}
