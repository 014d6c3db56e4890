using Mesh.Identity.Issuance;
using Mesh.Identity.Tokens;

namespace Mesh.Identity.Metrics;

/// <summary>What the service counts about itself. Labels come from closed enums, never from a caller.</summary>
internal sealed class IdentityMetrics
{
    private readonly long[] _certify = new long[Enum.GetValues<CertifyFault>().Length];
    private readonly long[] _certifyTokens = new long[Enum.GetValues<TokenFault>().Length];
    private readonly Histogram _certifyDuration = new();
    private readonly Histogram _validationDuration = new();
    private long _streamsOpened, _streamsRefused, _statuses, _bundleWrites, _tlsRefused, _tlsAccepted;

    public void Issued(TimeSpan duration)
    {
        Interlocked.Increment(ref _certify[(int)CertifyFault.None]);
        _certifyDuration.Record(duration);
    }

    public void Refused(CertifyFault fault, TokenFault token)
    {
        if (fault == CertifyFault.Token) Interlocked.Increment(ref _certifyTokens[(int)token]);
        else Interlocked.Increment(ref _certify[(int)fault]);
    }

    public void TokenValidated(TimeSpan duration) => _validationDuration.Record(duration);

    public void StreamOpened() => Interlocked.Increment(ref _streamsOpened);

    public void StreamRefused() => Interlocked.Increment(ref _streamsRefused);

    public void StatusTaken() => Interlocked.Increment(ref _statuses);

    public void BundleWritten() => Interlocked.Increment(ref _bundleWrites);

    /// <summary>A client certificate was judged during a handshake.</summary>
    public void ClientJudged(bool accepted) => Interlocked.Increment(ref accepted ? ref _tlsAccepted : ref _tlsRefused);

    public long IssuedCount => Interlocked.Read(ref _certify[(int)CertifyFault.None]);

    public void WriteTo(PrometheusText text)
    {
        const string certify = "mesh_identity_certify_total";
        text.Header(certify, "Certify calls by result and reason.", "counter");
        foreach (var fault in Enum.GetValues<CertifyFault>())
        {
            if (fault == CertifyFault.Token) continue;
            text.Sample(certify, Interlocked.Read(ref _certify[(int)fault]), ("result", fault == CertifyFault.None ? "issued" : "refused"), ("reason", CertifyFaultTable.Label(fault)));
        }

        foreach (var fault in Enum.GetValues<TokenFault>())
        {
            if (fault == TokenFault.None) continue;
            text.Sample(certify, Interlocked.Read(ref _certifyTokens[(int)fault]), ("result", "refused"), ("reason", TokenFaultTable.Label(fault)));
        }

        _certifyDuration.WriteTo(text, "mesh_identity_certify_duration_seconds", "From the arrival of a Certify call to its certificate; issued ones only.");
        _validationDuration.WriteTo(text, "mesh_identity_token_validation_duration_seconds", "Time to judge a token, whatever the verdict.");

        const string clients = "mesh_identity_client_certificates_total";
        text.Header(clients, "Client certificates judged in TLS handshakes, by verdict.", "counter");
        text.Sample(clients, Interlocked.Read(ref _tlsAccepted), ("verdict", "accepted"));
        text.Sample(clients, Interlocked.Read(ref _tlsRefused), ("verdict", "refused"));

        text.Counter("mesh_identity_bundle_streams_opened_total", "Bundle streams entered.", Interlocked.Read(ref _streamsOpened));
        text.Counter("mesh_identity_bundle_streams_refused_total", "Bundle streams refused.", Interlocked.Read(ref _streamsRefused));
        text.Counter("mesh_identity_bundle_statuses_total", "Status messages taken from bundle streams.", Interlocked.Read(ref _statuses));
        text.Counter("mesh_identity_bundle_updates_sent_total", "Bundle updates written to streams.", Interlocked.Read(ref _bundleWrites));
    }
}
