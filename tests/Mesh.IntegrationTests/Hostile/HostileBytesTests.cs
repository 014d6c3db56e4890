using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text.Json;
using Mesh.Cli.Demo;
using Mesh.Cli.Stat;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.IntegrationTests.Hostile;

/// <summary>Bytes that no honest peer would send, at every listener of a whole mesh of real processes.</summary>
public sealed class HostileBytesTests(ITestOutputHelper output)
{
    private const string Authority = "echo.test.svc.cluster.local:80";
    private const int Workers = 6;
    private const int SlowConnections = 12;
    private const int WarmingAttacks = 320;
    private const int Attacks = 1200;

    // Whoever is attacked may hold buffers that were needed at once, and no more the longer it lasts: what it had after the first attacks, and this.
    private const int MoreMegabytes = 48;
    private const int MoreDescriptors = 8;

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task End_their_connection_and_nothing_else()
    {
        var ct = TestContext.Current.CancellationToken;
        using var directory = new TemporaryDirectory();
        await using var echo = new EchoServer();
        await using var mesh = await EmbeddedMesh.StartAsync(directory.File("mesh"), TrustDomain.Parse("hostile.mesh"), TimeSpan.FromMinutes(10), TimeProvider.System, ct);
        var json = new Dictionary<string, string> { ["MESH_PROXY_LOG_FORMAT"] = "json", ["MESH_PROXY_ACCESS_LOG"] = "on" };
        IPEndPoint inbound = EmbeddedMesh.FreeAddress(), named = EmbeddedMesh.FreeAddress(), local = EmbeddedMesh.FreeAddress(), redirected = EmbeddedMesh.FreeAddress();
        var server = await mesh.StartProxyAsync(
            new ProxyPlan("server-proxy", "test", "server") { Inbound = inbound, InboundService = (named, echo.Address), Extra = json }, ct);
        mesh.Publish([new DiscoveryEntry(Authority, [new DiscoveryAddress(echo.Address, inbound.Port, mesh.IdOf("test", "server"), mesh.ServerName("test", "server"))])]);
        var client = await mesh.StartProxyAsync(
            new ProxyPlan("client-proxy", "test", "client")
            {
                OutboundServices = [(local, Authority)],
                Extra = new Dictionary<string, string>(json) { ["MESH_PROXY_OUTBOUND_LISTEN_ADDR"] = redirected.ToString() },
            },
            ct);

        Target[] targets =
        [
            new("identity", mesh.IdentityAddress, Tls(mesh, "mesh", "mesh-identity", "h2")),
            new("identity admin", mesh.IdentityAdmin, null),
            new("destination", mesh.DestinationAddress, Tls(mesh, "mesh", "mesh-destination", "h2")),
            new("destination admin", mesh.DestinationAdmin, null),
            new("inbound", inbound, Tls(mesh, "test", "server", "transport.l5d.io/v1")),
            new("inbound service", named, Tls(mesh, "test", "server", "transport.l5d.io/v1")),
            new("outbound", redirected, null),
            new("outbound service", local, null),
            new("server admin", server.Admin!, null),
            new("client admin", client.Admin!, null),
        ];
        byte[][] hellos = [.. await Task.WhenAll(targets.Where(t => t.Server is not null).SelectMany(t => t.Server!()).Select(options => HelloAsync(options, ct)))];
        var traffic = new Traffic(local);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var passing = traffic.RunAsync(stop.Token);

        await AttackAsync(targets, hellos, echo.Address.Port, first: 0, WarmingAttacks, ct);
        var before = await SettledAsync(mesh, null, ct);
        var made = await AttackAsync(targets, hellos, echo.Address.Port, WarmingAttacks, Attacks, ct);
        var after = await SettledAsync(mesh, before, ct);

        await stop.CancelAsync();
        await passing;
        for (var i = 0; i < 50; i++) await traffic.OnceAsync();
        foreach (var (name, usage) in before) output.WriteLine($"{name}: {usage.Megabytes:0.0} MB, {usage.Descriptors} descriptors; then {after[name].Megabytes:0.0} MB, {after[name].Descriptors} descriptors");
        output.WriteLine($"{made.Values.Sum()} attacks, {traffic.Passed} exchanges passed");

        Assert.All(mesh.Members, m => Assert.False(m.Process!.Died, $"{m.Name} {(m.Process.Died ? m.Process.Ending : "")}"));
        Assert.All(targets, t => Assert.True(made.GetValueOrDefault(t.Name) > 0, $"{t.Name} was not attacked"));
        Assert.Empty(traffic.Failures);
        Assert.True(traffic.Passed > 50);
        Assert.All(mesh.Members, m =>
        {
            Assert.True(after[m.Name].Descriptors <= before[m.Name].Descriptors + MoreDescriptors, $"{m.Name} had {before[m.Name].Descriptors} descriptors and keeps {after[m.Name].Descriptors}");
            Assert.True(after[m.Name].Megabytes <= before[m.Name].Megabytes + MoreMegabytes, $"{m.Name} had {before[m.Name].Megabytes:0} MB and has {after[m.Name].Megabytes:0} MB");
        });
        foreach (var proxy in (Member[])[server, client]) Assert.Equal(0, await BugsAsync(proxy, ct));

        // Identity still certifies and destination still answers: somebody new comes in.
        var newLocal = EmbeddedMesh.FreeAddress();
        await mesh.StartProxyAsync(new ProxyPlan("late-proxy", "test", "late") { OutboundServices = [(newLocal, Authority)], Extra = json }, ct);
        var late = new Traffic(newLocal);
        Assert.True(await late.OnceAsync(), string.Join('\n', late.Failures));
        Assert.Empty(mesh.Members.SelectMany(m => LoudLines(Path.Combine(mesh.Layout.Logs, m.Name + ".log"))));
    }

    // Attack n is the same in every run: its target and kind go round, the rest follows from the number.
    private static async Task<ConcurrentDictionary<string, int>> AttackAsync(Target[] targets, byte[][] hellos, int applicationPort, int first, int count, CancellationToken ct)
    {
        var made = new ConcurrentDictionary<string, int>();
        var kinds = Enum.GetValues<AttackKind>();
        var next = first - 1;
        using var slow = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var longest = new CancellationTokenSource(Longest);
        async Task WorkAsync()
        {
            int number;
            while (!longest.IsCancellationRequested && (number = Interlocked.Increment(ref next)) < first + count)
            {
                var target = targets[number % targets.Length];
                await new Attack(number, target, kinds[number / targets.Length % kinds.Length], hellos, applicationPort).RunAsync(ct);
                made.AddOrUpdate(target.Name, 1, (_, n) => n + 1);
            }
        }

        var dripping = Enumerable.Range(0, SlowConnections).Select(i => DripAsync(targets, hellos, i, slow.Token)).ToArray();
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(WorkAsync, ct)));
        await slow.CancelAsync();
        await Task.WhenAll(dripping);
        return made;
    }

    // One byte at a time, over and over, while the others attack.
    private static async Task DripAsync(Target[] targets, byte[][] hellos, int number, CancellationToken stop)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        for (var turn = number; !stop.IsCancellationRequested; turn += SlowConnections)
        {
            var target = targets[turn % targets.Length];
            var bytes = target.Name.EndsWith("admin", StringComparison.Ordinal) ? "GET /metrics HTTP/1.1\r\nHost: slow\r\nX: "u8.ToArray() : hellos[turn % hellos.Length];
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(target.Address, stop);
                for (var i = 0; i < 150; i++)
                {
                    await tick.WaitForNextTickAsync(stop);
                    await socket.SendAsync(bytes.AsMemory(i % bytes.Length, 1), stop);
                }
            }
            catch (Exception cut) when (cut is SocketException or OperationCanceledException)
            {
                // Cut off, or the time is over.
            }
        }
    }

    /// <summary>As nobody, as somebody of the mesh, with a certificate that has expired, and with one of another authority.</summary>
    private static Func<SslClientAuthenticationOptions[]> Tls(EmbeddedMesh mesh, string ns, string serviceAccount, string protocol)
    {
        var authority = TestAuthority.Load(mesh.TrustDomain, mesh.Layout.Trust);
        var other = TestAuthority.CreateRoot(mesh.TrustDomain);
        var attacker = mesh.IdOf("test", "attacker");
        ImmutableArray<X509Svid?> svids = [null, authority.CreateSvid(attacker), authority.CreateSvid(attacker, o => o with { NotBefore = DateTimeOffset.UtcNow.AddHours(-2), NotAfter = DateTimeOffset.UtcNow.AddHours(-1) }), other.CreateSvid(attacker)];
        return () =>
        [
            .. svids.Select(svid =>
            {
                var options = SvidTls.Client(() => svid, authority.Bundles, mesh.IdOf(ns, serviceAccount), mesh.ServerName(ns, serviceAccount), TimeProvider.System);
                options.ApplicationProtocols = [new SslApplicationProtocol(protocol)];
                return options;
            }),
        ];
    }

    // What the framework would send first.
    private static async Task<byte[]> HelloAsync(SslClientAuthenticationOptions options, CancellationToken ct)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, ct);
        using var accepted = await listener.AcceptSocketAsync(ct);
        await using var tls = new SslStream(client.GetStream());
        var handshake = tls.AuthenticateAsClientAsync(options, ct);
        var hello = new byte[8192];
        var length = await accepted.ReceiveAsync(hello, ct);
        accepted.Close(0);
        await Assert.ThrowsAnyAsync<Exception>(() => handshake);
        return hello[..length];
    }

    /// <summary>What each process uses, as soon as no more descriptors are open than before; after a while, whatever there is.</summary>
    private static async Task<Dictionary<string, Usage>> SettledAsync(EmbeddedMesh mesh, Dictionary<string, Usage>? before, CancellationToken ct)
    {
        using var enough = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(250));
        var quiet = 0;
        Dictionary<string, Usage>? last = null;
        while (true)
        {
            await tick.WaitForNextTickAsync(ct);
            var now = mesh.Members.ToDictionary(m => m.Name, m => Usage.Of(m.Process!.Id));
            var reached = before is null
                ? last is not null && now.All(n => Math.Abs(n.Value.Descriptors - last[n.Key].Descriptors) <= 3)
                : now.All(n => n.Value.Descriptors <= before[n.Key].Descriptors + MoreDescriptors);
            quiet = reached ? quiet + 1 : 0;
            if (quiet >= 4 || enough.IsCancellationRequested) return now;
            last = now;
        }
    }

    private static async Task<double> BugsAsync(Member proxy, CancellationToken ct)
    {
        using var http = new HttpClient();
        var page = await http.GetStringAsync(new Uri($"http://{proxy.Admin}/metrics"), ct);
        return PrometheusText.Parse(page).Where(s => s.Name == "mesh_proxy_connection_ends_total" && s.Label("reason") == "bug").Sum(s => s.Value);
    }

    private static IEnumerable<string> LoudLines(string file)
    {
        using var log = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        while (log.ReadLine() is { } line)
        {
            // What is no line of the log, such as a crash report of the runtime, is loud as well.
            if (!line.StartsWith('{')) yield return line;
            else if (JsonDocument.Parse(line).RootElement.GetProperty("level").GetString() is not ("debug" or "info" or "warn")) yield return line;
        }
    }

    private sealed record Usage(double Megabytes, int Descriptors)
    {
        public static Usage Of(int pid)
        {
            var resident = File.ReadLines($"/proc/{pid}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            var kilobytes = long.Parse(resident.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
            return new Usage(kilobytes / 1024.0, Directory.GetFileSystemEntries($"/proc/{pid}/fd").Length);
        }
    }
}
