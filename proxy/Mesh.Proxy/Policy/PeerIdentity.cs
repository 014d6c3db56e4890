using Mesh.Spiffe;

namespace Mesh.Proxy.Policy;

/// <summary>Who is at the other end: a verified SPIFFE ID, or nobody known, and why. The reason goes unchanged into logs and metrics.</summary>
internal abstract record PeerIdentity
{
    private PeerIdentity() { }

    /// <summary>The peer proved this identity in the handshake of this connection.</summary>
    internal sealed record Verified(SpiffeId Id) : PeerIdentity
    {
        public override string ToString() => Id.ToString();
    }

    internal sealed record Absent(AbsentReason Reason) : PeerIdentity
    {
        public override string ToString() => Reason.Label();
    }
}

internal enum AbsentReason
{
    /// <summary>The client spoke plaintext.</summary>
    NoTlsFromRemote = 0,

    /// <summary>TLS with us, and the client showed no certificate.</summary>
    NoClientCertificate = 1,

    /// <summary>The client speaks TLS with the application itself; we only see its server name.</summary>
    ForeignTls = 2,

    /// <summary>The port is opaque, so that nothing was looked at.</summary>
    PortSkipped = 3,

    /// <summary>Discovery gave no identity for this endpoint.</summary>
    NotProvidedByDiscovery = 4,

    /// <summary>The original destination was dialled because discovery has no answer.</summary>
    NotDiscovered = 5,

    /// <summary>The application beside us: that connection does not leave the pod.</summary>
    Loopback = 6,
}

internal static class AbsentReasonText
{
    /// <summary>Linkerd's <c>no_tls_reason</c> where it has one.</summary>
    public static string Label(this AbsentReason reason) => reason switch
    {
        AbsentReason.NoTlsFromRemote => "no_tls_from_remote",
        AbsentReason.NoClientCertificate => "no_client_certificate",
        AbsentReason.ForeignTls => "foreign_tls",
        AbsentReason.PortSkipped => "port_skipped",
        AbsentReason.NotProvidedByDiscovery => "not_provided_by_service_discovery",
        AbsentReason.NotDiscovered => "not_discovered",
        AbsentReason.Loopback => "loopback",
        _ => "unknown",
    };
}
