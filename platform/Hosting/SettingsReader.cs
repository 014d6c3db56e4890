using System.Collections.Immutable;
using System.Globalization;
using System.Net;

namespace Mesh.Hosting;

/// <summary>One thing wrong with the configuration: the key it is about and a sentence that says what would be right.</summary>
internal sealed record SettingFault(string Key, string Sentence)
{
    public override string ToString() => $"{Key}: {Sentence}";
}

/// <summary>
/// Reads typed values from environment variables of one prefix and collects every fault instead of stopping at the first.
/// A value that is at fault reads as its type's default; the caller looks at <see cref="Faults"/> before it uses any.
/// </summary>
internal sealed class SettingsReader(IReadOnlyDictionary<string, string> environment, string prefix)
{
    private static readonly Dictionary<string, bool> Switches = new() { ["true"] = true, ["false"] = false };

    private readonly List<SettingFault> _faults = [];
    private readonly HashSet<string> _known = [];

    public ImmutableArray<SettingFault> Faults => [.. _faults];

    public string KeyOf(string name) => prefix + name;

    public void Fault(string name, string sentence) => _faults.Add(new SettingFault(KeyOf(name), sentence));

    /// <summary>The value as written, or null when the variable is absent or empty.</summary>
    public string? Text(string name)
    {
        var key = KeyOf(name);
        _known.Add(key);
        return environment.TryGetValue(key, out var value) && value.Length > 0 ? value : null;
    }

    public string? Required(string name, string what)
    {
        var value = Text(name);
        if (value is null) Fault(name, $"is required: {what}");
        return value;
    }

    public T Choice<T>(string name, T otherwise, IReadOnlyDictionary<string, T> choices)
    {
        if (Text(name) is not { } text) return otherwise;
        if (choices.TryGetValue(text, out var choice)) return choice;
        Fault(name, $"must be one of {string.Join(", ", choices.Keys)}");
        return otherwise;
    }

    public bool Switch(string name, bool otherwise) => Choice(name, otherwise, Switches);

    public int Count(string name, int otherwise, int min, int max)
    {
        if (Text(name) is not { } text) return otherwise;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max) return value;
        Fault(name, string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {min} to {max}"));
        return otherwise;
    }

    public TimeSpan Duration(string name, TimeSpan otherwise, TimeSpan min, TimeSpan max)
    {
        if (Text(name) is not { } text) return otherwise;
        if (DurationText.TryParse(text, out var value) && value >= min && value <= max) return value;
        Fault(name, $"must be a duration such as 90s, 15m or 24h, from {DurationText.Format(min)} to {DurationText.Format(max)}");
        return otherwise;
    }

    public IPEndPoint Endpoint(string name, IPEndPoint otherwise)
    {
        if (Text(name) is not { } text) return otherwise;
        // IPEndPoint.TryParse takes an address without a port as port 0: here a port must be written.
        var afterAddress = text.LastIndexOf(']') + 1;
        if (IPEndPoint.TryParse(text, out var value) && text.IndexOf(':', afterAddress) >= 0 && (value.Address.GetAddressBytes().Length == 4 || afterAddress > 0))
            return value;
        Fault(name, "must be an IP address and a port, such as 0.0.0.0:8080 or [::]:8080");
        return otherwise;
    }

    /// <summary>
    /// Reports variables with our prefix that nothing reads: a misspelt key must not silently mean a default.
    /// What Kubernetes injects for a Service of the same name (PREFIX_SERVICE_HOST, PREFIX_PORT_8080_TCP, ...) is left alone.
    /// </summary>
    public void FaultUnknown()
    {
        var unknown = environment.Keys
            .Where(key => key.StartsWith(prefix, StringComparison.Ordinal) && !_known.Contains(key))
            .Where(key => !key.AsSpan(prefix.Length).StartsWith("SERVICE_") && key.AsSpan(prefix.Length) is not "PORT" && !key.AsSpan(prefix.Length).StartsWith("PORT_"))
            .Order(StringComparer.Ordinal);
        foreach (var key in unknown) _faults.Add(new SettingFault(key, "is not a setting of this program"));
    }
}
