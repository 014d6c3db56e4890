using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Mesh.Proxy.Admin;

/// <summary>The head of a request: what the admin pages need of it.</summary>
internal sealed record AdminRequest
{
    private AdminRequest(string method, string path, string query, bool fromBrowser) => (Method, Path, Query, FromBrowser) = (method, path, query, fromBrowser);

    public string Method { get; }

    /// <summary>Without the query.</summary>
    public string Path { get; }

    /// <summary>What follows the question mark, as it came; empty when there is none.</summary>
    public string Query { get; }

    /// <summary>A page of some web site sent it: the request carries an Origin.</summary>
    public bool FromBrowser { get; }

    /// <param name="head">Request line and headers, without the empty line at the end.</param>
    public static bool TryParse(ReadOnlySpan<byte> head, [NotNullWhen(true)] out AdminRequest? request)
    {
        request = null;
        if (head.ContainsAnyExceptInRange((byte)0x20, (byte)0x7e) && !OnlyAsciiLines(head)) return false;
        var lines = Encoding.ASCII.GetString(head).Split("\r\n");
        var parts = lines[0].Split(' ');
        if (parts is not [{ Length: > 0 } method, ['/', ..] target, "HTTP/1.1" or "HTTP/1.0"]) return false;
        var fromBrowser = false;
        foreach (var line in lines.AsSpan(1))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || line[colon - 1] == ' ' || line[0] == ' ') return false;
            fromBrowser |= line.AsSpan(0, colon).Equals("Origin", StringComparison.OrdinalIgnoreCase);
        }

        var query = target.IndexOf('?', StringComparison.Ordinal);
        request = new AdminRequest(method, query < 0 ? target : target[..query], query < 0 ? "" : target[(query + 1)..], fromBrowser);
        return true;
    }

    private static bool OnlyAsciiLines(ReadOnlySpan<byte> head)
    {
        for (var i = 0; i < head.Length; i++)
        {
            var b = head[i];
            if (b is >= 0x20 and <= 0x7e or (byte)'\t') continue;
            if (b == '\r' && i + 1 < head.Length && head[i + 1] == '\n')
            {
                i++;
                continue;
            }

            return false;
        }

        return true;
    }
}
