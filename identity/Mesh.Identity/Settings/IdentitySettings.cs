using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Mesh.Kubernetes.Configuration;
using Mesh.Spiffe;
using Mesh.Trust.Issuers;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Settings;

/// <summary>
/// What the identity service runs with. Made only by <see cref="TryRead"/>: past that line nothing reads the environment.
/// </summary>
internal sealed record IdentitySettings
{
    public const string Prefix = "MESH_IDENTITY_";
    public const string ListenKey = Prefix + "LISTEN_ADDR";
    public const string AdminKey = Prefix + "ADMIN_LISTEN_ADDR";

    public required TrustDomain TrustDomain { get; init; }

    /// <summary>The service's own SPIFFE ID: what its TLS certificate says and callers expect.</summary>
    public required SpiffeId OwnId { get; init; }

    /// <summary>The namespace in Linkerd's DNS form of an identity.</summary>
    public required string ControlPlaneNamespace { get; init; }

    public required IPEndPoint Listen { get; init; }

    public required IPEndPoint Admin { get; init; }

    /// <summary>When set, the addresses really bound are written here as JSON: for a listener on port 0.</summary>
    public required string? AddressFile { get; init; }

    /// <summary>Directory with the issuer certificate and key, in either Secret layout.</summary>
    public required string IssuerDirectory { get; init; }

    /// <summary>PEM file with the trust anchors.</summary>
    public required string AnchorsFile { get; init; }

    /// <summary>Whether an intermediate may be a trust anchor.</summary>
    public required AnchorRule AnchorRule { get; init; }

    /// <summary>How long an SVID is valid: from 60 s to 7 days.</summary>
    public required TimeSpan Lifetime { get; init; }

    /// <summary>How far notBefore lies in the past, and how far clocks of token issuers may be off: up to 5 minutes.</summary>
    public required TimeSpan ClockSkew { get; init; }

    public required TokenSource Tokens { get; init; }

    public required string TokenAudience { get; init; }

    /// <summary>Whether only tokens bound to a pod are accepted, as projected ones are.</summary>
    public required bool TokenRequirePod { get; init; }

    public required int MaxConnections { get; init; }

    /// <summary>Connections of one source address at once.</summary>
    public required int MaxConnectionsPerSource { get; init; }

    /// <summary>A connection without a call for this long is closed.</summary>
    public required TimeSpan IdleTimeout { get; init; }

    /// <summary>Certify calls under way at once; one more is told to come back later.</summary>
    public required int MaxPendingCertify { get; init; }

    public required int MaxBundleStreams { get; init; }

    public required int MaxBundleStreamsPerId { get; init; }

    /// <summary>How long calls under way may take after SIGTERM before they are cut.</summary>
    public required TimeSpan ShutdownGracePeriod { get; init; }

    public required LogLevel LogLevel { get; init; }

    public required LogFormat LogFormat { get; init; }

    /// <summary>Reads and judges every setting.</summary>
    /// <param name="environment">Name and value of environment variables; those without our prefix are ignored.</param>
    /// <param name="settings">The settings, when there is no fault.</param>
    /// <param name="faults">Every fault, in the order of the keys in docs; empty on success.</param>
    public static bool TryRead(IReadOnlyDictionary<string, string> environment, [NotNullWhen(true)] out IdentitySettings? settings, out ImmutableArray<SettingFault> faults)
    {
        var read = new SettingsReader(environment, Prefix);
        var trustDomain = ReadTrustDomain(read);
        var controlPlane = ReadNamespace(read);
        var ownId = ReadOwnId(read, trustDomain, controlPlane);
        // Port numbers are Linkerd's, so that its manifests and habits carry over.
        var listen = read.Endpoint("LISTEN_ADDR", new IPEndPoint(IPAddress.Any, 8080));
        var admin = read.Endpoint("ADMIN_LISTEN_ADDR", new IPEndPoint(IPAddress.Any, 9990));
        var addressFile = read.Text("ADDR_FILE");
        var issuerDirectory = read.Required("ISSUER_DIR", "the directory with the issuer certificate and key (crt.pem and key.pem, or tls.crt and tls.key)");
        var anchorsFile = read.Required("TRUST_ANCHORS_FILE", "a PEM file with the trust anchors");
        var intermediateAnchor = read.Switch("ALLOW_INTERMEDIATE_ANCHOR", false);
        // 24 h is Linkerd's default; below 60 s a renewal has no room for one retry.
        var lifetime = read.Duration("LIFETIME", TimeSpan.FromHours(24), TimeSpan.FromSeconds(60), TimeSpan.FromDays(7));
        var skew = read.Duration("CLOCK_SKEW", TimeSpan.FromSeconds(20), TimeSpan.Zero, TimeSpan.FromMinutes(5));
        var tokens = ReadTokenSource(read, environment);
        var audience = read.Text("TOKEN_AUDIENCE") ?? "identity.l5d.io";
        var requirePod = read.Switch("TOKEN_REQUIRE_POD", false);
        var maxConnections = read.Count("MAX_CONNECTIONS", 30_000, 1, 1_000_000);
        var maxPerSource = read.Count("MAX_CONNECTIONS_PER_SOURCE", SourceBound.Usual, 1, 1_000_000);
        // Proxies keep their bundle stream open; what is idle this long is a caller that has its certificate, or nobody.
        var idle = read.Duration("IDLE_TIMEOUT", TimeSpan.FromMinutes(2), TimeSpan.FromSeconds(1), TimeSpan.FromHours(24));
        var maxPending = read.Count("MAX_PENDING_CERTIFY", 10_000, 1, 1_000_000);
        var maxStreams = read.Count("MAX_BUNDLE_STREAMS", 20_000, 1, 1_000_000);
        // One identity can run on many pods, but no single identity may take all the room there is.
        var maxStreamsPerId = read.Count("MAX_BUNDLE_STREAMS_PER_ID", maxStreams - maxStreams / 4, 1, 1_000_000);
        var grace = read.Duration("SHUTDOWN_GRACE_PERIOD", TimeSpan.FromSeconds(20), TimeSpan.Zero, TimeSpan.FromMinutes(10));
        var logLevel = read.Choice("LOG_LEVEL", LogLevel.Information, ConsoleLog.Levels);
        var logFormat = read.Choice("LOG_FORMAT", LogFormat.Json, ConsoleLog.Formats);
        read.FaultUnknown();

        faults = read.Faults;
        settings = null;
        if (faults.Length > 0) return false;
        settings = new IdentitySettings
        {
            TrustDomain = trustDomain!,
            OwnId = ownId!,
            ControlPlaneNamespace = controlPlane,
            Listen = listen,
            Admin = admin,
            AddressFile = addressFile,
            IssuerDirectory = issuerDirectory!,
            AnchorsFile = anchorsFile!,
            AnchorRule = intermediateAnchor ? AnchorRule.IntermediateAllowed : AnchorRule.SelfSigned,
            Lifetime = lifetime,
            ClockSkew = skew,
            Tokens = tokens!,
            TokenAudience = audience,
            TokenRequirePod = requirePod,
            MaxConnections = maxConnections,
            MaxConnectionsPerSource = maxPerSource,
            IdleTimeout = idle,
            MaxPendingCertify = maxPending,
            MaxBundleStreams = maxStreams,
            MaxBundleStreamsPerId = maxStreamsPerId,
            ShutdownGracePeriod = grace,
            LogLevel = logLevel,
            LogFormat = logFormat,
        };
        return true;
    }

    private static TrustDomain? ReadTrustDomain(SettingsReader read)
    {
        if (read.Required("TRUST_DOMAIN", "the trust domain this service issues for, such as cluster.local") is not { } text) return null;
        if (TrustDomain.TryParse(text, out var domain, out _)) return domain;
        read.Fault("TRUST_DOMAIN", "must be a SPIFFE trust domain name: lower case letters, digits, '.', '-' and '_', up to 255 characters");
        return null;
    }

    private static string ReadNamespace(SettingsReader read)
    {
        var text = read.Text("CONTROL_PLANE_NAMESPACE") ?? LinkerdName.DefaultControlPlaneNamespace;
        if (text.Length > 63 || text.AsSpan().ContainsAnyExcept(DnsLabelCharacters) || text.StartsWith('-') || text.EndsWith('-'))
            read.Fault("CONTROL_PLANE_NAMESPACE", "must be the name of a Kubernetes namespace");
        return text;
    }

    private static readonly System.Buffers.SearchValues<char> DnsLabelCharacters = System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");

    private static SpiffeId? ReadOwnId(SettingsReader read, TrustDomain? trustDomain, string controlPlane)
    {
        var text = read.Text("SPIFFE_ID");
        if (trustDomain is null) return null;
        if (text is null) return SpiffeId.TryParse($"spiffe://{trustDomain.Name}/ns/{controlPlane}/sa/mesh-identity", out var usual, out _) ? usual : null;
        if (SpiffeId.TryParse(text, out var id, out _) && !id.IsRoot && id.TrustDomain == trustDomain) return id;
        read.Fault("SPIFFE_ID", $"must be a SPIFFE ID with a path in the trust domain {trustDomain.Name}");
        return null;
    }

    private static TokenSource? ReadTokenSource(SettingsReader read, IReadOnlyDictionary<string, string> environment)
    {
        var mode = read.Required("TOKEN_VALIDATION", "one of jwks-file, jwks-url, oidc, token-review");
        var file = read.Text("TOKEN_JWKS_FILE");
        var urlText = read.Text("TOKEN_JWKS_URL");
        var issuer = read.Text("TOKEN_ISSUER");
        var authorities = read.Text("TOKEN_CA_FILE");
        var bearer = read.Text("TOKEN_BEARER_FILE");
        var kubeconfig = read.Text("KUBECONFIG");
        switch (mode)
        {
            case null:
                return null;
            case "jwks-file":
                if (file is null) read.Fault("TOKEN_JWKS_FILE", "is required with jwks-file");
                if (issuer is null) read.Fault("TOKEN_ISSUER", "is required with jwks-file: the iss claim to expect");
                return file is null || issuer is null ? null : new TokenSource.JwksFile(file, issuer);
            case "jwks-url":
                if (urlText is null) read.Fault("TOKEN_JWKS_URL", "is required with jwks-url");
                if (issuer is null) read.Fault("TOKEN_ISSUER", "is required with jwks-url: the iss claim to expect");
                return read.KeyUrl("TOKEN_JWKS_URL") is not { } url || issuer is null ? null : new TokenSource.JwksUrl(url, issuer, authorities, bearer);
            case "oidc":
                if (issuer is null) read.Fault("TOKEN_ISSUER", "is required with oidc: the URL of the OpenID Connect issuer");
                return read.KeyUrl("TOKEN_ISSUER") is { } oidc ? new TokenSource.OidcDiscovery(oidc, issuer!, authorities, bearer) : null;
            case "token-review":
                return ReadApiServer(read, kubeconfig, environment);
            default:
                read.Fault("TOKEN_VALIDATION", "must be one of jwks-file, jwks-url, oidc, token-review");
                return null;
        }
    }

    private static TokenSource.TokenReview? ReadApiServer(SettingsReader read, string? kubeconfig, IReadOnlyDictionary<string, string> environment)
    {
        try
        {
            return new TokenSource.TokenReview(KubernetesConfiguration.Find(kubeconfig, environment.GetValueOrDefault));
        }
        catch (KubernetesConfigurationException unusable)
        {
            read.Fault("KUBECONFIG", $"no way to the API server: {unusable.Message}");
            return null;
        }
    }
}
