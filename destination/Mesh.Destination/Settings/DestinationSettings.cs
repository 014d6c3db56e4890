using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Mesh.Spiffe;

namespace Mesh.Destination.Settings;

/// <summary>What the destination service runs with. Made only by <see cref="TryRead"/>: past that line nothing reads the environment.</summary>
internal sealed record DestinationSettings
{
    public const string Prefix = "MESH_DESTINATION_";
    public const string ListenKey = Prefix + "LISTEN_ADDR";
    public const string PolicyListenKey = Prefix + "POLICY_LISTEN_ADDR";
    public const string AdminKey = Prefix + "ADMIN_LISTEN_ADDR";

    public required TrustDomain TrustDomain { get; init; }

    /// <summary>Who the service is: the identity it asks for and proxies expect.</summary>
    public required SpiffeId OwnId { get; init; }

    /// <summary>The DNS form of the same, for clients that verify names.</summary>
    public required string? OwnDnsName { get; init; }

    public required IPEndPoint Listen { get; init; }

    /// <summary>A second address for those who look for routes on a port of their own; null: the first is enough.</summary>
    public required IPEndPoint? PolicyListen { get; init; }

    public required IPEndPoint Admin { get; init; }

    /// <summary>When set, the addresses really bound are written here as JSON: for a listener on port 0.</summary>
    public required string? AddressFile { get; init; }

    /// <summary>The watched file of services.</summary>
    public required string ServicesFile { get; init; }

    /// <summary>Host and port of the identity service.</summary>
    public required string IdentityAddress { get; init; }

    /// <summary>Who must answer there.</summary>
    public required SpiffeId IdentityId { get; init; }

    /// <summary>Read again at every request for a certificate, because the platform renews it.</summary>
    public required string TokenFile { get; init; }

    /// <summary>PEM or SPIFFE bundle JSON; read again when it changes.</summary>
    public required string AnchorsFile { get; init; }

    public required int MaxConnections { get; init; }

    /// <summary>Connections of one source address at once.</summary>
    public required int MaxConnectionsPerSource { get; init; }

    /// <summary>How long calls under way may take after SIGTERM before they are cut.</summary>
    public required TimeSpan ShutdownGracePeriod { get; init; }

    public required LogLevel LogLevel { get; init; }

    public required LogFormat LogFormat { get; init; }

    /// <summary>Reads and judges every setting.</summary>
    /// <param name="environment">Name and value of environment variables; those without our prefix are ignored.</param>
    /// <param name="settings">The settings, when there is no fault.</param>
    /// <param name="faults">Every fault; empty on success.</param>
    public static bool TryRead(IReadOnlyDictionary<string, string> environment, [NotNullWhen(true)] out DestinationSettings? settings, out ImmutableArray<SettingFault> faults)
    {
        var read = new SettingsReader(environment, Prefix);
        var trustDomain = ReadTrustDomain(read);
        var controlPlane = read.Text("CONTROL_PLANE_NAMESPACE") ?? LinkerdName.DefaultControlPlaneNamespace;
        var ownId = ReadId(read, "SPIFFE_ID", trustDomain, controlPlane, "mesh-destination");
        var identityId = ReadId(read, "IDENTITY_SVC_NAME", trustDomain, controlPlane, "mesh-identity");
        // Port numbers are Linkerd's.
        var listen = read.Endpoint("LISTEN_ADDR", new IPEndPoint(IPAddress.Any, 8086));
        var policyListen = read.Text("POLICY_LISTEN_ADDR") is null ? null : read.Endpoint("POLICY_LISTEN_ADDR", new IPEndPoint(IPAddress.Any, 8090));
        var admin = read.Endpoint("ADMIN_LISTEN_ADDR", new IPEndPoint(IPAddress.Any, 9990));
        var addressFile = read.Text("ADDR_FILE");
        var services = read.Required("SERVICES_FILE", "the JSON file of services to serve");
        var identityAddress = read.Required("IDENTITY_SVC_ADDR", "host:port of the identity service");
        if (identityAddress is not null && (!Uri.TryCreate("https://" + identityAddress, UriKind.Absolute, out var url) || url.Authority != identityAddress))
            read.Fault("IDENTITY_SVC_ADDR", "must be host:port");
        var token = read.Required("TOKEN_FILE", "the file with this service's ServiceAccount token");
        var anchors = read.Required("TRUST_ANCHORS_FILE", "a PEM or SPIFFE bundle file with the trust anchors");
        var maxConnections = read.Count("MAX_CONNECTIONS", 30_000, 1, 1_000_000);
        var maxPerSource = read.Count("MAX_CONNECTIONS_PER_SOURCE", SourceBound.Usual, 1, 1_000_000);
        var grace = read.Duration("SHUTDOWN_GRACE_PERIOD", TimeSpan.FromSeconds(10), TimeSpan.Zero, TimeSpan.FromMinutes(10));
        var logLevel = read.Choice("LOG_LEVEL", LogLevel.Information, ConsoleLog.Levels);
        var logFormat = read.Choice("LOG_FORMAT", LogFormat.Json, ConsoleLog.Formats);
        read.FaultUnknown();

        faults = read.Faults;
        settings = null;
        if (faults.Length > 0) return false;
        settings = new DestinationSettings
        {
            TrustDomain = trustDomain!,
            OwnId = ownId!,
            OwnDnsName = new LinkerdName(trustDomain!, controlPlane).Of(ownId!),
            Listen = listen,
            PolicyListen = policyListen,
            Admin = admin,
            AddressFile = addressFile,
            ServicesFile = services!,
            IdentityAddress = identityAddress!,
            IdentityId = identityId!,
            TokenFile = token!,
            AnchorsFile = anchors!,
            MaxConnections = maxConnections,
            MaxConnectionsPerSource = maxPerSource,
            ShutdownGracePeriod = grace,
            LogLevel = logLevel,
            LogFormat = logFormat,
        };
        return true;
    }

    private static TrustDomain? ReadTrustDomain(SettingsReader read)
    {
        if (read.Required("TRUST_DOMAIN", "the trust domain's name, such as example.org") is not { } text) return null;
        if (TrustDomain.TryParse(text, out var trustDomain, out var fault)) return trustDomain;
        read.Fault("TRUST_DOMAIN", fault.Sentence());
        return null;
    }

    private static SpiffeId? ReadId(SettingsReader read, string name, TrustDomain? trustDomain, string controlPlane, string account)
    {
        var text = read.Text(name);
        if (trustDomain is null) return null;
        if (SpiffeId.TryParse(text ?? $"spiffe://{trustDomain.Name}/ns/{controlPlane}/sa/{account}", out var id, out _) && !id.IsRoot && id.TrustDomain == trustDomain) return id;
        read.Fault(name, $"must be a SPIFFE ID with a path in the trust domain {trustDomain.Name}");
        return null;
    }
}
