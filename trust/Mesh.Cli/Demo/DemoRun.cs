using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mesh.Cli.Stat;
using Mesh.Spiffe;
using Mesh.Spiffe.Files;
using Spectre.Console;

namespace Mesh.Cli.Demo;

/// <summary>One run of <c>mesh demo</c>: builds the mesh, watches it, says what it saw, and leaves nothing behind.</summary>
internal sealed class DemoRun(DemoOptions options, TimeProvider time)
{
    private const string Authority = "web.demo.svc.cluster.local:80";

    // The shortest life the identity service grants; the proxies renew every few seconds all the same, so that one sees it happen.
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan MaxRefresh = TimeSpan.FromSeconds(4);

    // What every request and every answer contains, and what must never be seen between the proxies.
    private readonly string _secret = "secret-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));
    private readonly DemoFacts _facts = new();
    private readonly IAnsiConsole _console = options.Json ? AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) }) : AnsiConsole.Console;

    public async Task<int> RunAsync(CancellationToken interrupted)
    {
        // Lines for a file or another program are not broken at a width that no terminal has.
        if (!_console.Profile.Out.IsTerminal) _console.Profile.Width = short.MaxValue;
        var (directory, theirs) = Prepare();
        // A directory of the user's choice is left to the user when we are killed.
        using var sweeper = options.Directory is null && !options.Keep ? new Sweeper(directory) : null;
        try
        {
            await RunInAsync(directory, interrupted);
        }
        finally
        {
            if (options.Keep) _console.MarkupLineInterpolated($"state and logs are in {directory}");
            else if (theirs) Empty(directory);
            else if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        }

        if (options.Json) Console.WriteLine(_facts.Json());
        else _console.WriteLine(_facts.Summary());
        foreach (var shortcoming in _facts.Shortcomings) _console.WriteLine("not shown: " + shortcoming);
        if (!_facts.Shown && !options.Keep) _console.WriteLine("The logs are gone with the demo's directory: --dir DIR --keep leaves them in DIR/logs.");
        return _facts.Shown ? ExitCode.Done : ExitCode.Refused;
    }

    /// <summary>Where the state goes, and whether the directory was there before us, and is to be there after us.</summary>
    private (string Directory, bool Theirs) Prepare()
    {
        if (options.Directory is not { } given)
        {
            try
            {
                return (Directory.CreateTempSubdirectory("mesh-demo-").FullName, false);
            }
            catch (IOException failed)
            {
                throw new CommandRefusedException($"no directory can be made in {Path.GetTempPath()} ({failed.Message}): set TMPDIR, or name one with --dir");
            }
        }

        var directory = Path.GetFullPath(given);
        if (!Directory.Exists(directory))
        {
            try
            {
                Directory.CreateDirectory(directory);
                return (directory, false);
            }
            catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
            {
                throw new CommandRefusedException($"--dir {given}: cannot be made a directory ({failed.Message})");
            }
        }

        if (Directory.EnumerateFileSystemEntries(directory).Any())
            throw new CommandRefusedException($"--dir {given} is not empty; the demo makes a throw-away CA and would not touch what is there. Name a new directory.", ExitCode.Usage);
        return (directory, true);
    }

    private static void Empty(string directory)
    {
        foreach (var folder in Directory.GetDirectories(directory)) Directory.Delete(folder, recursive: true);
        foreach (var file in Directory.GetFiles(directory)) File.Delete(file);
    }

    private async Task RunInAsync(string directory, CancellationToken interrupted)
    {
        IPEndPoint web = EmbeddedMesh.FreeAddress(), inbound = EmbeddedMesh.FreeAddress(), port = EmbeddedMesh.FreeAddress(), local = EmbeddedMesh.FreeAddress();
        await using var wire = new WireTap(inbound, Encoding.ASCII.GetBytes(_secret), "GET / HTTP/1.1"u8.ToArray(), "HTTP/1.1 200"u8.ToArray());
        // The same search where the client speaks to its own proxy: it must find there what it must not find on the wire, or it proves nothing.
        await using var control = new WireTap(local, Encoding.ASCII.GetBytes(_secret), "GET / HTTP/1.1"u8.ToArray(), "HTTP/1.1 200"u8.ToArray());

        // The taps outlive the mesh: a wire does not go away before the programs at its ends.
        Say("making a throw-away certificate authority and a token issuer; starting identity and destination");
        await using var mesh = await EmbeddedMesh.StartAsync(directory, TrustDomain.Parse("demo.mesh"), Lifetime, time, interrupted);
        Say("starting a web server and a client, each behind a proxy of its own");
        await mesh.StartWorkloadAsync("web", ["serve", web.ToString(), "--secret", _secret], null, interrupted);
        var webProxy = await mesh.StartProxyAsync(
            new ProxyPlan("web-proxy", "demo", "web") { Inbound = inbound, InboundService = (port, web), MaxRefresh = MaxRefresh }, interrupted);
        mesh.Publish([new DiscoveryEntry(Authority, [new DiscoveryAddress(web, wire.Address.Port, mesh.IdOf("demo", "web"), mesh.ServerName("demo", "web"))])]);
        wire.Start();
        control.Start();
        var clientProxy = await mesh.StartProxyAsync(
            new ProxyPlan("client-proxy", "demo", "client") { OutboundServices = [(local, Authority)], MaxRefresh = MaxRefresh }, interrupted);
        await mesh.StartWorkloadAsync("client", ["call", $"http://{control.Address}/", "--rate", options.Rate.ToString(CultureInfo.InvariantCulture), "--secret", _secret], _facts.TakeClientLine, interrupted);

        Say($"identity {mesh.IdentityAddress}, pages of each under /ready and /metrics: {string.Join(", ", mesh.Members.Where(m => m.Admin is not null).Select(m => $"{m.Name} http://{m.Admin}"))}");
        Say($"certificates, while it runs: ./mesh identity inspect {mesh.IdentityAddress} --dir {directory}");
        Say($"                             ./mesh identity inspect {inbound} --server-name {mesh.ServerName("demo", "web")} --dir {directory}");

        Say($"traffic, while it runs:      ./mesh stat --dir {directory}");

        var refused = await PlaintextProbe.IsRefusedAsync(port, time, interrupted) & await PlaintextProbe.IsRefusedAsync(inbound, time, interrupted);
        _facts.PlaintextRefused = refused;
        using var metrics = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(interrupted);
        if (options.Duration is { } duration) ending.CancelAfter(duration);
        _facts.Started = time.GetUtcNow();
        try
        {
            await WatchAsync(mesh, wire, control, webProxy, clientProxy, metrics, ending.Token);
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The end of the demo, by the clock or by the operator.
        }

        _facts.Ended = time.GetUtcNow();
        // What happened since the last look belongs to the account as well.
        await LookAsync(wire, control, webProxy, clientProxy, metrics, CancellationToken.None);
        Say("stopping");
    }

    private async Task WatchAsync(EmbeddedMesh mesh, WireTap wire, WireTap control, Member webProxy, Member clientProxy, HttpClient metrics, CancellationToken ct)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(1), time);
        var live = !options.Json && _console.Profile.Capabilities.Interactive;
        var rounds = 0;
        var named = false;
        async Task LoopAsync(Action<Spectre.Console.Rendering.IRenderable>? show)
        {
            while (await tick.WaitForNextTickAsync(ct))
            {
                await ReviveAsync(mesh, ct);
                // Written once traffic flows: whoever waits for the file finds a mesh at work.
                if (!named && _facts.Answered > 0)
                {
                    WriteMembers(mesh);
                    named = true;
                }

                await LookAsync(wire, control, webProxy, clientProxy, metrics, ct);
                if (show is not null) show(_facts.Table(time.GetUtcNow()));
                else if (!options.Json && ++rounds % 5 == 0) _console.WriteLine(_facts.Line());
            }
        }

        if (live) await _console.Live(new Text("waiting for the first requests")).StartAsync(async view => await LoopAsync(table => view.UpdateTarget(table)));
        else await LoopAsync(null);
    }

    private async Task LookAsync(WireTap wire, WireTap control, Member webProxy, Member clientProxy, HttpClient metrics, CancellationToken ct)
    {
        _facts.TakeWire(wire, control);
        _facts.TakeProxy(clientProxy.Name, await ScrapeAsync(metrics, clientProxy, ct));
        _facts.TakeProxy(webProxy.Name, await ScrapeAsync(metrics, webProxy, ct));
    }

    // What a kubelet would do: say that a program died and how, start it again, and let the rest go on.
    private async Task ReviveAsync(EmbeddedMesh mesh, CancellationToken ct)
    {
        foreach (var member in mesh.Members)
        {
            if (member.Process is not { Died: true } dead) continue;
            var message = $"{member.Name} (pid {dead.Id}) was {dead.Ending}; the rest goes on, and it is started again";
            _facts.Happened(message);
            Say(message);
            _facts.Forget(member.Name);
            try
            {
                await mesh.RestartAsync(member, ct);
            }
            catch (CommandRefusedException notReady)
            {
                // It was started and may still become ready, or die and be started once more; the demo shows either.
                Say(notReady.Message);
            }

            WriteMembers(mesh);
        }
    }

    // Who is who, for other commands that act on this directory.
    private static void WriteMembers(EmbeddedMesh mesh) =>
        PrivateFile.WritePublic(Path.Combine(mesh.Layout.Root, "members.json"), JsonSerializer.Serialize(mesh.Members.ToDictionary(m => m.Name, m => m.Process!.Id)));

    private static async Task<IReadOnlyList<Sample>> ScrapeAsync(HttpClient client, Member proxy, CancellationToken ct)
    {
        try
        {
            return PrometheusText.Parse(await client.GetStringAsync(new Uri($"http://{proxy.Admin}/metrics"), ct));
        }
        catch (HttpRequestException)
        {
            return [];
        }
        catch (TaskCanceledException) when (!ct.IsCancellationRequested)
        {
            return [];
        }
    }

    private void Say(string text) => _console.WriteLine(text);
}
