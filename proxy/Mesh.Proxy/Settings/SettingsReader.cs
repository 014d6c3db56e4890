using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Mesh.Hosting;

namespace Mesh.Proxy.Settings;

/// <summary>A key whose value cannot be used, and why. The value itself is not repeated: it may be a secret pasted in the wrong place.</summary>
internal sealed record SettingFault(string Key, string Sentence)
{
    public override string ToString() => $"{Key}: {Sentence}";
}

/// <summary>Reads typed values by key and collects what is wrong with them, so that one start reports every fault.</summary>
internal sealed class SettingsReader(IReadOnlyDictionary<string, string> values)
{
    private readonly List<SettingFault> _faults = [];
    private readonly HashSet<string> _known = [];

    public ImmutableArray<SettingFault> Faults => [.. _faults];

    /// <summary>
    /// Keys with the given prefix that nobody asked for: most likely misspelt. What Kubernetes injects for a Service whose name gives the same
    /// prefix (PREFIX_SERVICE_HOST, PREFIX_PORT_80_TCP) is left out.
    /// </summary>
    public ImmutableArray<string> UnknownKeys(string prefix) =>
        [.. values.Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal) && !_known.Contains(k) && !IsInjected(k.AsSpan(prefix.Length))).Order(StringComparer.Ordinal)];

    public void Fault(string key, string sentence) => _faults.Add(new SettingFault(key, sentence));

    /// <summary>The value, trimmed; null when the key is absent or blank.</summary>
    public string? Find(string key)
    {
        _known.Add(key);
        return values.TryGetValue(key, out var value) && !string.IsNullOrWhiteSpace(value) ? value.Trim() : null;
    }

    public string Required(string key)
    {
        if (Find(key) is { } value) return value;
        Fault(key, "is required and missing.");
        return "";
    }

    public IPEndPoint EndPoint(string key, IPEndPoint fallback) => OptionalEndPoint(key, fallback) ?? fallback;

    public IPEndPoint? OptionalEndPoint(string key, IPEndPoint? fallback)
    {
        if (Find(key) is not { } text) return fallback;
        if (TryParseEndPoint(text, out var endPoint)) return endPoint;
        Fault(key, "is not an IP address with a port, such as 127.0.0.1:4143 or [::1]:4143.");
        return fallback;
    }

    public HostPort? HostPort(string key, string text)
    {
        if (text.Length == 0) return null;
        if (Settings.HostPort.TryParse(text, out var value)) return value;
        Fault(key, "is not host:port with a port from 1 to 65535.");
        return null;
    }

    public TimeSpan Duration(string key, TimeSpan fallback, TimeSpan min, TimeSpan max)
    {
        if (Find(key) is not { } text) return fallback;
        if (!DurationText.TryParse(text, out var value))
        {
            Fault(key, "is not a duration, such as 100ms, 10s, 5m, 1h30m or 2d.");
            return fallback;
        }

        if (value >= min && value <= max) return value;
        Fault(key, $"must lie between {DurationText.Format(min)} and {DurationText.Format(max)}.");
        return fallback;
    }

    public int Number(string key, int fallback, int min, int max)
    {
        if (Find(key) is not { } text) return fallback;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max) return value;
        Fault(key, string.Create(CultureInfo.InvariantCulture, $"is not a whole number from {min} to {max}."));
        return fallback;
    }

    /// <summary>A part of the whole, from 0 to 1.</summary>
    public double Fraction(string key, double fallback)
    {
        if (Find(key) is not { } text) return fallback;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) && value is >= 0 and <= 1) return value;
        Fault(key, "is not a number from 0 to 1, such as 0.01.");
        return fallback;
    }

    public T Choice<T>(string key, T fallback, params ReadOnlySpan<(string Name, T Value)> choices)
    {
        if (Find(key) is not { } text) return fallback;
        var names = new List<string>();
        foreach (var (name, value) in choices)
        {
            if (string.Equals(name, text, StringComparison.OrdinalIgnoreCase)) return value;
            names.Add(name);
        }

        Fault(key, $"is none of {string.Join(", ", names)}.");
        return fallback;
    }

    public PortSet Ports(string key, PortSet fallback)
    {
        if (Find(key) is not { } text) return fallback;
        if (PortSet.TryParse(text, out var ports)) return ports;
        Fault(key, "is not a list of ports and ranges, such as 25,587,4000-4010.");
        return fallback;
    }

    public ImmutableArray<T> List<T>(string key, ImmutableArray<T> fallback, Func<string, T?> parse, string sentence)
        where T : class => ListOf(key, fallback, text => parse(text) is { } value ? (true, value) : (false, null!), sentence);

    public ImmutableArray<IPNetwork> Networks(string key, ImmutableArray<IPNetwork> fallback) =>
        ListOf(key, fallback, text => (IPNetwork.TryParse(text, out var network), network), "is not a list of networks, such as 10.0.0.0/8,fd00::/8.");

    public static bool TryParseEndPoint(string text, out IPEndPoint endPoint)
    {
        endPoint = null!;
        // IPEndPoint.TryParse takes an address without a port, and half an address with one.
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !IPEndPoint.TryParse(text, out var value)) return false;
        if (!ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port != value.Port) return false;
        var host = text.AsSpan(0, colon);
        if (value.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? host[0] != '[' || host[^1] != ']' : host.Count('.') != 3) return false;
        endPoint = value;
        return true;
    }

    private static bool IsInjected(ReadOnlySpan<char> name) => name is "PORT" || name.StartsWith("PORT_") || name.StartsWith("SERVICE_");

    private ImmutableArray<T> ListOf<T>(string key, ImmutableArray<T> fallback, Func<string, (bool Good, T Value)> parse, string sentence)
    {
        if (Find(key) is not { } text) return fallback;
        var items = ImmutableArray.CreateBuilder<T>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var (good, value) = parse(part);
            if (!good)
            {
                Fault(key, sentence);
                return fallback;
            }

            items.Add(value);
        }

        return items.ToImmutable();
    }
}
