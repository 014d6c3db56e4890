using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Mesh.Identity.Tokens;
using Mesh.Spiffe;
using Mesh.Spiffe.Files;
using Mesh.Trust;
using Mesh.Trust.Issuing;

namespace Mesh.Cli.Demo;

/// <summary>
/// A mesh on one machine, without Kubernetes: a certificate authority and a token issuer in a directory, and the same programs
/// that run in a cluster as processes on loopback. The demo, the benchmarks and the integration tests stand on it.
/// </summary>
internal sealed class EmbeddedMesh : IAsyncDisposable
{
    // Linkerd's audience, the identity service's default.
    private const string TokenAudience = "identity.l5d.io";

    // Less than we wait for a program to stop: whoever ends a demo is not kept waiting for what nobody reads.
    private const string GracePeriod = "2s";

    private readonly EmbeddedMeshLayout _layout;
    private readonly TokenIssuer _tokens;
    private readonly TimeProvider _time;
    private readonly List<Member> _members = [];

    private EmbeddedMesh(EmbeddedMeshLayout layout, TrustDomain trustDomain, TokenIssuer tokens, TimeProvider time)
    {
        _layout = layout;
        TrustDomain = trustDomain;
        _tokens = tokens;
        _time = time;
        IdentityAddress = FreeAddress();
        IdentityAdmin = FreeAddress();
        DestinationAddress = FreeAddress();
        DestinationAdmin = FreeAddress();
    }

    public TrustDomain TrustDomain { get; }

    public EmbeddedMeshLayout Layout => _layout;

    public IPEndPoint IdentityAddress { get; }

    public IPEndPoint IdentityAdmin { get; }

    public IPEndPoint DestinationAddress { get; }

    public IPEndPoint DestinationAdmin { get; }

    /// <summary>Every process of the mesh, in the order of their start.</summary>
    public IReadOnlyList<Member> Members => _members;

    /// <summary>Makes the CA and the token issuer in <paramref name="directory"/>, and starts identity and destination.</summary>
    public static async Task<EmbeddedMesh> StartAsync(string directory, TrustDomain trustDomain, TimeSpan lifetime, TimeProvider time, CancellationToken ct)
    {
        var layout = new EmbeddedMeshLayout(directory);
        layout.Create();
        TrustDirectory.Init(layout.Trust, AuthorityProfile.Root(trustDomain), AuthorityProfile.Issuer(trustDomain), time);
        var tokens = TokenIssuer.Create("https://tokens." + trustDomain.Name, TokenIssuerKey.P256, time);
        TokenIssuer.WriteJwks(layout.Jwks, tokens);
        var mesh = new EmbeddedMesh(layout, trustDomain, tokens, time);
        try
        {
            mesh.Publish([]);
            await mesh.StartIdentityAsync(lifetime, ct);
            await mesh.StartDestinationAsync(ct);
            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    /// <summary>A loopback address that was free a moment ago.</summary>
    public static IPEndPoint FreeAddress()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }

    /// <summary>The file with a ServiceAccount token for a workload, as a kubelet would project it.</summary>
    public string TokenFile(string serviceAccount, string ns)
    {
        var file = Path.Combine(_layout.Tokens, $"{ns}.{serviceAccount}.token");
        PrivateFile.Write(file, _tokens.Issue(ns, serviceAccount, TokenAudience, TimeSpan.FromHours(24)));
        return file;
    }

    public SpiffeId IdOf(string ns, string serviceAccount) => SpiffeId.ForServiceAccount(TrustDomain, ns, serviceAccount);

    /// <summary>Linkerd's DNS form of an identity: what proxies send as SNI.</summary>
    public string ServerName(string ns, string serviceAccount) => new LinkerdName(TrustDomain, LinkerdName.DefaultControlPlaneNamespace).Of(ns, serviceAccount);

    /// <summary>Tells discovery what there is. The destination service notices by itself.</summary>
    public void Publish(IReadOnlyCollection<DiscoveryEntry> services) => DiscoveryFile.Write(_layout.Discovery, services);

    /// <summary>Starts a proxy for a workload and waits until it holds a certificate.</summary>
    public async Task<Member> StartProxyAsync(ProxyPlan plan, CancellationToken ct)
    {
        var admin = plan.Admin ?? FreeAddress();
        var settings = new Dictionary<string, string>
        {
            ["MESH_PROXY_ADMIN_LISTEN_ADDR"] = admin.ToString(),
            ["MESH_PROXY_INBOUND_LISTEN_ADDR"] = plan.Inbound?.ToString() ?? "",
            ["MESH_PROXY_INBOUND_SERVICES"] = plan.InboundService is { } inbound ? $"{inbound.Listen}={inbound.Application}" : "",
            // Without named listeners the proxy takes the well-known port of redirected connections, which is one for the whole machine.
            ["MESH_PROXY_OUTBOUND_LISTEN_ADDR"] = plan.InboundService is null && plan.OutboundServices.Count == 0 ? FreeAddress().ToString() : "",
            ["MESH_PROXY_OUTBOUND_SERVICES"] = string.Join(',', plan.OutboundServices.Select(s => $"{s.Listen}={s.Authority}")),
            ["MESH_PROXY_INBOUND_DEFAULT_POLICY"] = plan.Policy,
            ["MESH_PROXY_IDENTITY_SPIFFE_ID"] = IdOf(plan.Namespace, plan.ServiceAccount).ToString(),
            ["MESH_PROXY_IDENTITY_TOKEN_FILE"] = TokenFile(plan.ServiceAccount, plan.Namespace),
            ["MESH_PROXY_IDENTITY_TRUST_ANCHORS_FILE"] = _layout.Bundle,
            ["MESH_PROXY_IDENTITY_SVC_ADDR"] = IdentityAddress.ToString(),
            ["MESH_PROXY_DESTINATION_SVC_ADDR"] = DestinationAddress.ToString(),
            ["MESH_PROXY_SHUTDOWN_GRACE_PERIOD"] = GracePeriod,
        };
        if (plan.MaxRefresh is { } refresh) settings["MESH_PROXY_IDENTITY_MAX_REFRESH"] = string.Create(CultureInfo.InvariantCulture, $"{refresh.TotalMilliseconds:0}ms");
        foreach (var empty in settings.Where(s => s.Value.Length == 0).Select(s => s.Key).ToArray()) settings.Remove(empty);
        foreach (var (key, value) in plan.Extra) settings[key] = value;
        var proxy = await AddAsync(new Member(plan.Name, "Mesh.Proxy", settings, admin, plan.Command), ct);
        // For commands that look at the proxies of this mesh.
        PrivateFile.WritePublic(_layout.Proxies, JsonSerializer.Serialize(_members.Where(m => m.Assembly == "Mesh.Proxy").ToDictionary(m => m.Name, m => m.Admin!.ToString())));
        return proxy;
    }

    /// <summary>Starts a sample program. It is no member of the mesh's control plane and has no admin port.</summary>
    public async Task<Member> StartWorkloadAsync(string name, IReadOnlyList<string> arguments, Action<string>? onLine, CancellationToken ct) =>
        await AddAsync(new Member(name, "mesh", new Dictionary<string, string>(), null, null) { Arguments = ["workload", .. arguments], OnLine = onLine }, ct);

    /// <summary>Starts a member again after it died, with the same settings.</summary>
    public async Task RestartAsync(Member member, CancellationToken ct)
    {
        if (member.Process is { } old) await old.DisposeAsync();
        member.Process = Launch(member);
        await WaitUntilReadyAsync(member, ct);
    }

    /// <summary>Stops everything, last started first.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var member in Enumerable.Reverse(_members))
        {
            if (member.Process is not { } process) continue;
            await process.StopAsync(TimeSpan.FromSeconds(5), _time);
            await process.DisposeAsync();
        }

        _tokens.Dispose();
    }

    private Task StartIdentityAsync(TimeSpan lifetime, CancellationToken ct) => AddAsync(
        new Member(
            "identity",
            "Mesh.Identity",
            new Dictionary<string, string>
            {
                ["MESH_IDENTITY_TRUST_DOMAIN"] = TrustDomain.Name,
                ["MESH_IDENTITY_LISTEN_ADDR"] = IdentityAddress.ToString(),
                ["MESH_IDENTITY_ADMIN_LISTEN_ADDR"] = IdentityAdmin.ToString(),
                ["MESH_IDENTITY_ISSUER_DIR"] = _layout.Issuer,
                ["MESH_IDENTITY_TRUST_ANCHORS_FILE"] = _layout.Bundle,
                ["MESH_IDENTITY_LIFETIME"] = string.Create(CultureInfo.InvariantCulture, $"{lifetime.TotalSeconds:0}s"),
                ["MESH_IDENTITY_TOKEN_VALIDATION"] = "jwks-file",
                ["MESH_IDENTITY_TOKEN_JWKS_FILE"] = _layout.Jwks,
                ["MESH_IDENTITY_TOKEN_ISSUER"] = _tokens.Issuer,
                ["MESH_IDENTITY_SHUTDOWN_GRACE_PERIOD"] = GracePeriod,
            },
            IdentityAdmin,
            null),
        ct);

    private Task StartDestinationAsync(CancellationToken ct) => AddAsync(
        new Member(
            "destination",
            "Mesh.Destination",
            new Dictionary<string, string>
            {
                ["MESH_DESTINATION_TRUST_DOMAIN"] = TrustDomain.Name,
                ["MESH_DESTINATION_LISTEN_ADDR"] = DestinationAddress.ToString(),
                ["MESH_DESTINATION_ADMIN_LISTEN_ADDR"] = DestinationAdmin.ToString(),
                ["MESH_DESTINATION_SERVICES_FILE"] = _layout.Discovery,
                ["MESH_DESTINATION_IDENTITY_SVC_ADDR"] = IdentityAddress.ToString(),
                ["MESH_DESTINATION_TOKEN_FILE"] = TokenFile("mesh-destination", "mesh"),
                ["MESH_DESTINATION_TRUST_ANCHORS_FILE"] = _layout.Bundle,
                ["MESH_DESTINATION_SHUTDOWN_GRACE_PERIOD"] = GracePeriod,
            },
            DestinationAdmin,
            null),
        ct);

    private async Task<Member> AddAsync(Member member, CancellationToken ct)
    {
        member.Process = Launch(member);
        _members.Add(member);
        await WaitUntilReadyAsync(member, ct);
        return member;
    }

    private ChildProcess Launch(Member member) =>
        ChildProcess.Start(member.Name, member.Command, member.Assembly, member.Arguments, member.Settings, Path.Combine(_layout.Logs, member.Name + ".log"), member.OnLine);

    private async Task WaitUntilReadyAsync(Member member, CancellationToken ct)
    {
        if (member.Admin is not { } admin) return;
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30), _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, ct);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50), _time);
        var last = "it did not answer on its admin port";
        try
        {
            while (await tick.WaitForNextTickAsync(either.Token))
            {
                if (member.Process!.Exited.IsCompleted)
                {
                    await member.Process.Logged;
                    throw new CommandRefusedException($"{member.Name} {member.Process.Ending} while starting. {LastLines(member)}");
                }

                try
                {
                    using var answer = await client.GetAsync(new Uri($"http://{admin}/ready"), either.Token);
                    if (answer.IsSuccessStatusCode) return;
                    last = "it says it is not ready: " + (await answer.Content.ReadAsStringAsync(either.Token)).Trim();
                }
                catch (HttpRequestException)
                {
                    // Not listening yet.
                }
                catch (TaskCanceledException) when (!either.IsCancellationRequested)
                {
                    // Listening, but too slow for this try.
                }
            }
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw new CommandRefusedException($"{member.Name} was not ready within 30 s ({last}). {LastLines(member)}");
        }
    }

    // In the message itself: the directory with the log may be gone when somebody reads it.
    private string LastLines(Member member)
    {
        using var log = new StreamReader(new FileStream(Path.Combine(_layout.Logs, member.Name + ".log"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        var lines = log.ReadToEnd().TrimEnd().Split('\n');
        return "The last lines of its log:\n" + string.Join('\n', lines.TakeLast(5));
    }
}

/// <summary>One process of an embedded mesh.</summary>
internal sealed class Member(string name, string assembly, IReadOnlyDictionary<string, string> settings, IPEndPoint? admin, IReadOnlyList<string>? command)
{
    public string Name => name;

    public string Assembly => assembly;

    public IReadOnlyDictionary<string, string> Settings => settings;

    public IPEndPoint? Admin => admin;

    /// <summary>The program to run instead of the assembly beside this one: a published proxy, or one in another root.</summary>
    public IReadOnlyList<string>? Command => command;

    public IReadOnlyList<string> Arguments { get; init; } = [];

    public Action<string>? OnLine { get; init; }

    public ChildProcess? Process { get; set; }
}

/// <summary>A proxy to start beside a workload.</summary>
internal sealed record ProxyPlan(string Name, string Namespace, string ServiceAccount)
{
    /// <summary>Where other proxies dial it; null when it only sends.</summary>
    public IPEndPoint? Inbound { get; init; }

    /// <summary>A listener that stands for the local application.</summary>
    public (IPEndPoint Listen, IPEndPoint Application)? InboundService { get; init; }

    public IReadOnlyList<(IPEndPoint Listen, string Authority)> OutboundServices { get; init; } = [];

    public string Policy { get; init; } = "all-authenticated";

    public TimeSpan? MaxRefresh { get; init; }

    public IPEndPoint? Admin { get; init; }

    public IReadOnlyList<string>? Command { get; init; }

    public IReadOnlyDictionary<string, string> Extra { get; init; } = new Dictionary<string, string>();
}

/// <summary>Where what lies in the directory of an embedded mesh.</summary>
internal sealed record EmbeddedMeshLayout(string Root)
{
    public string Trust => Path.Combine(Root, "trust");

    public string Issuer => Path.Combine(Trust, TrustDirectory.IssuerFolder);

    public string Bundle => Path.Combine(Trust, TrustDirectory.Anchors);

    public string Tokens => Path.Combine(Root, "tokens");

    public string Jwks => Path.Combine(Tokens, "jwks.json");

    public string Logs => Path.Combine(Root, "logs");

    public string Discovery => Path.Combine(Root, "services.json");

    /// <summary>The admin address of each proxy by its name.</summary>
    public string Proxies => Path.Combine(Root, "proxies.json");

    /// <summary>Makes the directories, for this user's eyes only.</summary>
    public void Create()
    {
        const UnixFileMode mine = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        foreach (var directory in new[] { Root, Trust, Tokens, Logs }) Directory.CreateDirectory(directory, mine);
    }
}
