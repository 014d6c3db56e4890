using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Mesh.Cli.Demo;

namespace Mesh.Cli.Stat;

/// <summary>The admin ports of the proxies that a command looks at: named one by one, or those of a running demo.</summary>
internal sealed class ProxyTargets
{
    private const int MostProxies = 100;

    private readonly Option<string[]> _proxies = new("--proxy") { Description = "HOST:PORT of a proxy's admin port; may be given more than once" };
    private readonly Option<string?> _directory = new("--dir") { Description = "the proxies of the demo that runs in this directory" };

    public void AddTo(Command command)
    {
        command.Add(_proxies);
        command.Add(_directory);
    }

    /// <exception cref="CommandRefusedException">None is named, or what is named is none.</exception>
    public IReadOnlyList<ProxyTarget> Of(ParseResult parsed)
    {
        var targets = (parsed.GetValue(_proxies) ?? []).Select(text => new ProxyTarget(text, Address(text))).ToList();
        if (parsed.GetValue(_directory) is { } directory) targets.AddRange(OfDirectory(directory));
        if (targets.Count is 0 or > MostProxies)
            throw new CommandRefusedException(targets.Count == 0 ? "no proxy is named: give --proxy HOST:PORT, or --dir of a running demo" : $"more than {MostProxies} proxies", ExitCode.Usage);
        return targets;
    }

    private static IEnumerable<ProxyTarget> OfDirectory(string directory)
    {
        var file = new EmbeddedMeshLayout(directory).Proxies;
        if (!File.Exists(file)) throw new CommandRefusedException($"--dir {directory}: {file} does not exist; no demo runs there", ExitCode.Usage);
        try
        {
            var named = JsonSerializer.Deserialize<Dictionary<string, string>>(File.ReadAllText(file)) ?? [];
            return [.. named.Select(p => new ProxyTarget(p.Key, Address(p.Value)))];
        }
        catch (JsonException)
        {
            throw new CommandRefusedException($"{file}: is not what a demo writes", ExitCode.Usage);
        }
    }

    private static Uri Address(string text)
    {
        var colon = text.LastIndexOf(':');
        var host = colon < 0 ? "" : text[..colon];
        if (colon > 0 && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535
            && Uri.CheckHostName(host) != UriHostNameType.Unknown && Uri.TryCreate($"http://{host}:{port}/", UriKind.Absolute, out var address)) return address;
        throw new CommandRefusedException($"{text}: not HOST:PORT", ExitCode.Usage);
    }
}

/// <param name="Name">As the operator knows it.</param>
/// <param name="Admin">Where its pages are.</param>
internal sealed record ProxyTarget(string Name, Uri Admin)
{
    public static HttpClient Client() => new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false })
    {
        Timeout = TimeSpan.FromSeconds(10),
        MaxResponseContentBufferSize = 64 * 1024 * 1024,
    };
}
