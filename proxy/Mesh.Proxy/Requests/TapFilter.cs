using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Requests;

/// <summary>Which requests somebody wants to see, and how many at most. Everything that is set must fit.</summary>
internal sealed record TapFilter
{
    public const int DefaultRate = 100;
    public const int HighestRate = 1000;
    private const int LongestValue = 1024;

    public Direction? Direction { get; private init; }

    /// <summary>Exactly so.</summary>
    public byte[]? Method { get; private init; }

    /// <summary>What the path begins with.</summary>
    public byte[]? Path { get; private init; }

    /// <summary>With or without the port of the request, in any case of letters.</summary>
    public string? Authority { get; private init; }

    /// <summary>The SPIFFE ID of the other side.</summary>
    public string? Peer { get; private init; }

    /// <summary>One status, or with its last digits left out a class of them: 404, 4xx.</summary>
    public (int From, int To)? Status { get; private init; }

    /// <summary>Events in a second; more are left out, and counted.</summary>
    public int Rate { get; private init; } = DefaultRate;

    /// <param name="query">As in <c>/tap?direction=inbound&amp;path=/api</c>, without the question mark; values percent-encoded.</param>
    /// <param name="fault">What is wrong with it, for the caller.</param>
    public static bool TryParse(string query, [NotNullWhen(true)] out TapFilter? filter, [NotNullWhen(false)] out string? fault)
    {
        (filter, fault) = (new TapFilter(), null);
        foreach (var part in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var (key, value) = equals < 0 ? (part, "") : (part[..equals], Uri.UnescapeDataString(part[(equals + 1)..]));
            filter = value.Length is > 0 and <= LongestValue ? filter.With(key, value) : null;
            if (filter is not null) continue;
            fault = "a filter is direction=inbound|outbound, method, path, authority, peer, status=404|4xx or rate=1..1000\n";
            return false;
        }

        return true;
    }

    public bool Fits(RequestRecord record)
    {
        if (Direction is { } direction && record.Direction != direction) return false;
        if (Method is not null && !record.Method.SequenceEqual(Method)) return false;
        if (Path is not null && !record.Path.StartsWith(Path)) return false;
        if (Status is var (from, to) && (record.Status < from || record.Status > to)) return false;
        if (Authority is not null && !FitsAuthority(record.Authority, Authority)) return false;
        return Peer is null || (record.Peer is PeerIdentity.Verified { Id: var id } && id.ToString() == Peer);
    }

    private TapFilter? With(string key, string value) => key switch
    {
        "direction" when value is "inbound" or "outbound" => this with { Direction = value == "inbound" ? Connections.Direction.Inbound : Connections.Direction.Outbound },
        "method" => this with { Method = Encoding.UTF8.GetBytes(value) },
        "path" when value[0] == '/' => this with { Path = Encoding.UTF8.GetBytes(value) },
        "authority" => this with { Authority = value },
        "peer" => this with { Peer = value },
        "status" when TryParseStatus(value, out var range) => this with { Status = range },
        "rate" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var rate) && rate is > 0 and <= HighestRate => this with { Rate = rate },
        _ => null,
    };

    private static bool TryParseStatus(string text, out (int From, int To) range)
    {
        range = default;
        if (text.Length != 3 || text[0] is < '1' or > '9') return false;
        if (text.EndsWith("xx", StringComparison.OrdinalIgnoreCase)) range = ((text[0] - '0') * 100, (text[0] - '0') * 100 + 99);
        else if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var status)) range = (status, status);
        return range.From != 0;
    }

    private static bool FitsAuthority(ReadOnlySpan<byte> authority, string wanted)
    {
        if (Ascii.EqualsIgnoreCase(authority, wanted)) return true;
        var colon = authority.LastIndexOf((byte)':');
        return colon > 0 && Ascii.EqualsIgnoreCase(authority[..colon], wanted);
    }
}
