using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mesh.Proxy.Settings;

/// <summary>A DNS name or IP address with a port, 1 to 65535: where a control-plane service lives, or the authority a client asks for.</summary>
internal sealed record HostPort
{
    private HostPort(string host, int port, IPAddress? address) => (Host, Port, Address) = (host, port, address);

    /// <summary>Lower case, without brackets and without the trailing dot of an absolute name.</summary>
    public string Host { get; }

    public int Port { get; }

    /// <summary>The host as an address when it is written as one.</summary>
    public IPAddress? Address { get; }

    /// <summary>Accepts <c>name:port</c>, <c>1.2.3.4:port</c> and <c>[::1]:port</c>.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out HostPort? value)
    {
        value = null;
        var colon = text?.LastIndexOf(':') ?? -1;
        if (colon <= 0 || !TryParsePort(text.AsSpan(colon + 1), out var port)) return false;
        var host = text.AsSpan(0, colon);
        if (host[0] == '[')
        {
            if (host[^1] != ']' || !IPAddress.TryParse(host[1..^1], out var v6) || v6.AddressFamily != AddressFamily.InterNetworkV6) return false;
            value = new HostPort(v6.ToString(), port, v6);
            return true;
        }

        if (IsDottedQuad(host))
        {
            if (!IPAddress.TryParse(host, out var v4)) return false;
            value = new HostPort(v4.ToString(), port, v4);
            return true;
        }

        if (host[^1] == '.') host = host[..^1];
        if (!IsDnsName(host)) return false;
        value = new HostPort(host.ToString().ToLowerInvariant(), port, null);
        return true;
    }

    public static HostPort Parse(string text) =>
        TryParse(text, out var value) ? value : throw new FormatException($"'{text}' is not host:port.");

    public static HostPort From(IPEndPoint endPoint)
    {
        var address = endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
        return new HostPort(address.ToString(), endPoint.Port, address);
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{(Address?.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{Host}]" : Host)}:{Port}");

    internal static bool TryParsePort(ReadOnlySpan<char> text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65535;

    // A name of digits and dots only is an address or a mistake (RFC 3696 section 2), so that 1.2.3 does not become 1.2.0.3.
    private static bool IsDottedQuad(ReadOnlySpan<char> host)
    {
        var dots = 0;
        foreach (var c in host)
        {
            if (c == '.') dots++;
            else if (!char.IsAsciiDigit(c)) return false;
        }

        return dots == 3;
    }

    /// <summary>RFC 1123 names, underscores allowed as Kubernetes' DNS serves them; at least one letter, so that no address is half read as a name.</summary>
    internal static bool IsDnsName(ReadOnlySpan<char> name)
    {
        if (name.Length is 0 or > 253) return false;
        var letters = 0;
        foreach (var range in name.Split('.'))
        {
            var label = name[range];
            if (label.Length is 0 or > 63 || label[0] == '-' || label[^1] == '-') return false;
            foreach (var c in label)
            {
                if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')) return false;
                if (char.IsAsciiLetter(c)) letters++;
            }
        }

        return letters > 0;
    }
}
