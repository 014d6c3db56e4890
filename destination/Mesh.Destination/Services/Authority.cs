using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Mesh.Destination.Services;

/// <summary>What a client asks discovery for: a DNS name or an IP address, and a port. Names are lower case and carry no trailing dot.</summary>
internal sealed record Authority
{
    /// <summary>Linkerd's: an authority without a port means this one.</summary>
    public const int DefaultPort = 80;

    // RFC 1035 section 2.3.4.
    private const int MaxNameLength = 253;

    private Authority(string host, int port, IPAddress? address) => (Host, Port, Address) = (host, port, address);

    public string Host { get; }

    /// <summary>1 to 65535.</summary>
    public int Port { get; }

    /// <summary>Null for a name.</summary>
    public IPAddress? Address { get; }

    /// <summary>Reads <c>web.demo.svc.cluster.local:80</c>, <c>web.demo.svc</c>, <c>10.0.0.1:80</c>, <c>[::1]:80</c>.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out Authority? authority)
    {
        authority = null;
        if (string.IsNullOrEmpty(text) || text.Length > MaxNameLength + 8) return false;
        var host = text;
        var port = DefaultPort;
        var colon = text.LastIndexOf(':');
        if (colon >= 0 && text[^1] != ']')
        {
            if (text.IndexOf(':') != colon && text[0] != '[') return false;
            if (!int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is < 1 or > 65535) return false;
            host = text[..colon];
        }

        if (host is ['[', .. var inner, ']'])
        {
            if (!IPAddress.TryParse(inner, out var six) || six.AddressFamily != System.Net.Sockets.AddressFamily.InterNetworkV6) return false;
            authority = new Authority(six.ToString(), port, six);
            return true;
        }

        host = host.TrimEnd('.').ToLowerInvariant();
        if (LooksLikeAddress(host))
        {
            if (!IPAddress.TryParse(host, out var four)) return false;
            authority = new Authority(four.ToString(), port, four);
            return true;
        }

        if (!IsName(host)) return false;
        authority = new Authority(host, port, null);
        return true;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}");

    private static bool LooksLikeAddress(string host) => host.Length > 0 && host.All(c => char.IsAsciiDigit(c) || c == '.');

    private static bool IsName(string host)
    {
        if (host.Length is 0 or > MaxNameLength) return false;
        foreach (var label in host.AsSpan().Split('.'))
        {
            var part = host.AsSpan(label);
            if (part.Length is 0 or > 63 || part[0] == '-' || part[^1] == '-') return false;
            foreach (var c in part)
                if (!(char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_')) return false;
        }

        return true;
    }
}
