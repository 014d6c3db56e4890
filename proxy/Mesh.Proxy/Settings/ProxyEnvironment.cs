using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;
using Mesh.Spiffe;

namespace Mesh.Proxy.Settings;

/// <summary>
/// The environment variables of the proxy: Linkerd's meaning where Linkerd has the variable, under <c>MESH_PROXY_</c>.
/// Each key and each default is in this file and nowhere else.
/// </summary>
internal static class ProxyEnvironment
{
    public const string Prefix = "MESH_PROXY_";

    /// <summary>Reads all settings. False with every fault when any value cannot be used.</summary>
    public static bool TryRead(
        IReadOnlyDictionary<string, string> environment,
        [NotNullWhen(true)] out ProxySettings? settings,
        out ImmutableArray<SettingFault> faults,
        out ImmutableArray<string> unknownKeys)
    {
        var reader = new SettingsReader(environment);
        var inboundServices = InboundServices(reader);
        var outboundServices = OutboundServices(reader);
        // Named listeners are the mode without privileges: the redirected listeners then exist only where somebody asks for them.
        var named = inboundServices.Length + outboundServices.Length > 0;
        var identity = Identity(reader);
        var read = new ProxySettings
        {
            Inbound = Inbound(reader, inboundServices, named),
            Outbound = Outbound(reader, outboundServices, named),
            Identity = identity!,
            Destination = Destination(reader, identity?.Id.TrustDomain),
            Tracing = Tracing(reader, identity?.Id),
            // In a pod the kubelet and Prometheus reach it from outside, so the injector sets 0.0.0.0.
            AdminListen = reader.EndPoint(Prefix + "ADMIN_LISTEN_ADDR", new IPEndPoint(IPAddress.Loopback, 4191)),
            LogLevel = reader.Choice(
                Prefix + "LOG_LEVEL", LogLevel.Info, ("debug", LogLevel.Debug), ("info", LogLevel.Info), ("warn", LogLevel.Warn), ("error", LogLevel.Error), ("off", LogLevel.Off)),
            LogFormat = reader.Choice(Prefix + "LOG_FORMAT", LogFormat.Text, ("plain", LogFormat.Text), ("text", LogFormat.Text), ("json", LogFormat.Json)),
            AccessLog = reader.Choice(Prefix + "ACCESS_LOG", false, ("on", true), ("off", false)),
            // Below Kubernetes' default terminationGracePeriodSeconds of 30 s, so that we count what we cut before we are killed.
            ShutdownGracePeriod = Span(reader, "SHUTDOWN_GRACE_PERIOD", 25, 0, 3600),
        };
        if (outboundServices.Length > 0 && read.Destination is null)
            reader.Fault(Prefix + "DESTINATION_SVC_ADDR", "is required when OUTBOUND_SERVICES names authorities to reach.");
        RefuseSharedListeners(reader, read);
        faults = reader.Faults;
        unknownKeys = reader.UnknownKeys(Prefix);
        settings = faults.IsEmpty ? read : null;
        return faults.IsEmpty;
    }

    private static InboundSettings Inbound(SettingsReader reader, ImmutableArray<InboundService> services, bool named) => new()
    {
        Listen = reader.OptionalEndPoint(Prefix + "INBOUND_LISTEN_ADDR", named ? null : new IPEndPoint(IPAddress.Any, 4143)),
        Services = services,
        Policy = reader.Choice(
            Prefix + "INBOUND_DEFAULT_POLICY",
            InboundPolicy.AllUnauthenticated,
            ("all-unauthenticated", InboundPolicy.AllUnauthenticated),
            ("all-authenticated", InboundPolicy.AllAuthenticated),
            ("cluster-unauthenticated", InboundPolicy.ClusterUnauthenticated),
            ("cluster-authenticated", InboundPolicy.ClusterAuthenticated),
            ("deny", InboundPolicy.Deny),
            ("audit", InboundPolicy.Audit)),
        // The private ranges, as Linkerd's chart has them.
        ClusterNetworks = reader.Networks(
            Prefix + "POLICY_CLUSTER_NETWORKS",
            [
                IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("100.64.0.0/10"), IPNetwork.Parse("172.16.0.0/12"),
                IPNetwork.Parse("192.168.0.0/16"), IPNetwork.Parse("fd00::/8"),
            ]),
        OpaquePorts = reader.Ports(Prefix + "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", OpaquePorts),
        ForwardedClientCertificate = reader.Choice(
            Prefix + "INBOUND_FORWARDED_CLIENT_CERT", ForwardedClientCertificate.None, ("off", ForwardedClientCertificate.None), ("set", ForwardedClientCertificate.Set)),
        Addresses = reader.List(
            Prefix + "INBOUND_IPS", [], text => IPAddress.TryParse(text, out var ip) ? ip : null, "is not a list of IP addresses."),
        // The application is on this machine: 300 ms is Linkerd's default in code, long for a loopback connect.
        ConnectTimeout = Span(reader, "INBOUND_CONNECT_TIMEOUT", 0.3, 0.001, 60),
        DetectTimeout = Span(reader, "DETECT_TIMEOUT", 10, 0.001, 300),
        // Two descriptors each; a peer may open this many before others are turned away.
        MaxConnections = reader.Number(Prefix + "INBOUND_MAX_CONNECTIONS", 10_000, 1, 1_000_000),
    };

    private static OutboundSettings Outbound(SettingsReader reader, ImmutableArray<OutboundService> services, bool named) => new()
    {
        Listen = reader.OptionalEndPoint(Prefix + "OUTBOUND_LISTEN_ADDR", named ? null : new IPEndPoint(IPAddress.Loopback, 4140)),
        Services = services,
        ConnectTimeout = Span(reader, "OUTBOUND_CONNECT_TIMEOUT", 1, 0.001, 60),
        HandshakeTimeout = Span(reader, "OUTBOUND_HANDSHAKE_TIMEOUT", 5, 0.001, 60),
        // Linkerd's fail-fast time for a destination that nothing is known of.
        DiscoveryTimeout = Span(reader, "OUTBOUND_DISCOVERY_TIMEOUT", 3, 0.001, 300),
        MaxConnections = reader.Number(Prefix + "OUTBOUND_MAX_CONNECTIONS", 10_000, 1, 1_000_000),
        // Without an answer it cannot be told whether plaintext is wrong; those who would rather lose the connection say so.
        Undiscovered = reader.Choice(
            Prefix + "OUTBOUND_UNDISCOVERED", UndiscoveredTraffic.Plaintext, ("plaintext", UndiscoveredTraffic.Plaintext), ("refuse", UndiscoveredTraffic.Refuse)),
        OpaquePorts = reader.Ports(Prefix + "OUTBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", OpaquePorts),
        DetectTimeout = Span(reader, "DETECT_TIMEOUT", 10, 0.001, 300),
    };

    /// <summary>Linkerd's list: SMTP, MySQL and its replication, PostgreSQL, Redis, Elasticsearch, Memcached.</summary>
    private static PortSet OpaquePorts { get; } = PortSet.Of(25, 587, 3306, 4444, 5432, 6379, 9300, 11211);

    private static IdentitySettings? Identity(SettingsReader reader)
    {
        var id = OwnId(reader);
        var tokenFile = reader.Required(Prefix + "IDENTITY_TOKEN_FILE");
        var anchorsFile = reader.Required(Prefix + "IDENTITY_TRUST_ANCHORS_FILE");
        var address = reader.HostPort(Prefix + "IDENTITY_SVC_ADDR", reader.Required(Prefix + "IDENTITY_SVC_ADDR"));
        var serviceId = ServiceId(reader, "IDENTITY_SVC_NAME", id?.TrustDomain, "mesh-identity");
        // Linkerd's 10 s is too long for certificates of a minute; below a second a broken clock would make a storm.
        var min = Span(reader, "IDENTITY_MIN_REFRESH", 1, 0.1, 86_400);
        var max = Span(reader, "IDENTITY_MAX_REFRESH", 86_400, 0.1, 86_400 * 30);
        if (min > max) reader.Fault(Prefix + "IDENTITY_MIN_REFRESH", "is longer than IDENTITY_MAX_REFRESH.");
        var serverName = ServerName(reader, id);
        if (id is null || address is null || serviceId is null || serverName is null) return null;
        return new IdentitySettings
        {
            Id = id,
            ServerName = serverName,
            TokenFile = tokenFile,
            TrustAnchorsFile = anchorsFile,
            ServiceAddress = address,
            ServiceId = serviceId,
            MinRefresh = min,
            MaxRefresh = max,
        };
    }

    private static SpiffeId? OwnId(SettingsReader reader)
    {
        var spiffe = reader.Find(Prefix + "IDENTITY_SPIFFE_ID");
        var linkerd = reader.Find(Prefix + "IDENTITY_LOCAL_NAME");
        if (spiffe is null && linkerd is null)
        {
            reader.Fault(Prefix + "IDENTITY_SPIFFE_ID", "is required and missing (or IDENTITY_LOCAL_NAME in Linkerd's form).");
            return null;
        }

        var key = Prefix + (spiffe is null ? "IDENTITY_LOCAL_NAME" : "IDENTITY_SPIFFE_ID");
        if (!IdentityName.TryParse(spiffe ?? linkerd, out var id))
        {
            reader.Fault(key, "is not a SPIFFE ID with a path, nor a name of the form account.namespace.serviceaccount.identity.control-plane-namespace.trust-domain.");
            return null;
        }

        if (spiffe is not null && linkerd is not null && (!IdentityName.TryParse(linkerd, out var other) || !other.Equals(id)))
            reader.Fault(Prefix + "IDENTITY_LOCAL_NAME", "names another identity than IDENTITY_SPIFFE_ID.");
        return id;
    }

    private static string? ServerName(SettingsReader reader, SpiffeId? id)
    {
        const string key = Prefix + "IDENTITY_SERVER_NAME";
        var name = reader.Find(key) ?? reader.Find(Prefix + "IDENTITY_LOCAL_NAME");
        var controlPlaneNamespace = reader.Find(Prefix + "CONTROL_PLANE_NAMESPACE") ?? LinkerdName.DefaultControlPlaneNamespace;
        if (name is null && id is not null)
        {
            name = IdentityName.DnsForm(id, controlPlaneNamespace);
            if (name is null || !HostPort.IsDnsName(name))
            {
                reader.Fault(key, "is required: this SPIFFE ID has no DNS form to derive it from.");
                return null;
            }
        }

        if (name is null) return null;
        if (HostPort.IsDnsName(name)) return name.ToLowerInvariant();
        reader.Fault(key, "is not a DNS name.");
        return null;
    }

    private static SpiffeId? ServiceId(SettingsReader reader, string key, TrustDomain? ownDomain, string account)
    {
        if (reader.Find(Prefix + key) is not { } text) return ownDomain is null ? null : SpiffeId.ForServiceAccount(ownDomain, "mesh", account);
        if (IdentityName.TryParse(text, out var id)) return id;
        reader.Fault(Prefix + key, "is not a SPIFFE ID with a path, nor a name in Linkerd's form.");
        return null;
    }

    private static DestinationSettings? Destination(SettingsReader reader, TrustDomain? ownDomain)
    {
        const string key = Prefix + "DESTINATION_SVC_ADDR";
        var id = ServiceId(reader, "DESTINATION_SVC_NAME", ownDomain, "mesh-destination");
        var context = reader.Find(Prefix + "DESTINATION_CONTEXT") ?? "";
        var policy = reader.Find(Prefix + "POLICY_SVC_ADDR") is { } given ? reader.HostPort(Prefix + "POLICY_SVC_ADDR", given) : null;
        var policyId = reader.Find(Prefix + "POLICY_SVC_NAME") is null ? id : ServiceId(reader, "POLICY_SVC_NAME", ownDomain, "mesh-destination");
        if (reader.Find(key) is not { } text || reader.HostPort(key, text) is not { } address || id is null || policyId is null) return null;
        return new DestinationSettings { ServiceAddress = address, ServiceId = id, ContextToken = context, PolicyAddress = policy ?? address, PolicyServiceId = policyId };
    }

    private static TracingSettings? Tracing(SettingsReader reader, SpiffeId? own)
    {
        const string address = Prefix + "TRACE_COLLECTOR_ADDR";
        const string id = Prefix + "TRACE_COLLECTOR_NAME";
        SpiffeId? collectorId = null;
        if (reader.Find(id) is { } named && !IdentityName.TryParse(named, out collectorId))
            reader.Fault(id, "is not a SPIFFE ID with a path, nor a name in Linkerd's form.");
        var name = reader.Find(Prefix + "TRACE_SERVICE_NAME") ?? (own is not null && own.TryGetServiceAccount(out _, out var account) ? account : own?.Path.TrimStart('/'));
        // By default those trace who began to: the application, or an ingress.
        var probability = reader.Fraction(Prefix + "TRACE_PROBABILITY", 0);
        if (reader.Find(address) is not { } text || reader.HostPort(address, text) is not { } collector) return null;
        return new TracingSettings { Collector = collector, CollectorId = collectorId, ServiceName = name ?? "", Probability = probability };
    }

    private static ImmutableArray<InboundService> InboundServices(SettingsReader reader) => reader.List(
        Prefix + "INBOUND_SERVICES",
        [],
        text => Pair(text, out var listen, out var target) && SettingsReader.TryParseEndPoint(target, out var application) && application.Port != 0
            ? new InboundService(listen, application)
            : null,
        "is not a list of listen-address=application-address, such as 127.0.0.1:9443=127.0.0.1:8080.");

    private static ImmutableArray<OutboundService> OutboundServices(SettingsReader reader) => reader.List(
        Prefix + "OUTBOUND_SERVICES",
        [],
        text => Pair(text, out var listen, out var target) && HostPort.TryParse(target, out var authority) ? new OutboundService(listen, authority) : null,
        "is not a list of listen-address=authority, such as 127.0.0.1:8001=web.demo.svc.cluster.local:80.");

    private static bool Pair(string text, out IPEndPoint listen, out string target)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        target = equals < 0 ? "" : text[(equals + 1)..];
        listen = null!;
        return equals > 0 && SettingsReader.TryParseEndPoint(text[..equals], out listen);
    }

    private static void RefuseSharedListeners(SettingsReader reader, ProxySettings settings)
    {
        var seen = new HashSet<IPEndPoint>();
        foreach (var (key, listen) in Listeners(settings))
            if (listen is { Port: not 0 } && !seen.Add(listen)) reader.Fault(Prefix + key, $"listens at {listen}, as another listener does.");
    }

    private static IEnumerable<(string Key, IPEndPoint? Listen)> Listeners(ProxySettings settings)
    {
        yield return ("INBOUND_LISTEN_ADDR", settings.Inbound.Listen);
        yield return ("OUTBOUND_LISTEN_ADDR", settings.Outbound.Listen);
        yield return ("ADMIN_LISTEN_ADDR", settings.AdminListen);
        foreach (var service in settings.Inbound.Services) yield return ("INBOUND_SERVICES", service.Listen);
        foreach (var service in settings.Outbound.Services) yield return ("OUTBOUND_SERVICES", service.Listen);
    }

    private static TimeSpan Span(SettingsReader reader, string key, double fallback, double min, double max) =>
        reader.Duration(Prefix + key, TimeSpan.FromSeconds(fallback), TimeSpan.FromSeconds(min), TimeSpan.FromSeconds(max));
}
