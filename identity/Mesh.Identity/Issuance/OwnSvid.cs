using System.Collections.Immutable;
using System.Security.Cryptography;
using Mesh.Identity.Tokens;
using Mesh.Spiffe;
using Mesh.Trust.Issuing;
using Mesh.Trust.Requests;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Issuance;

/// <summary>
/// The certificate of the service's own TLS port. The service is its own authority: it signs for itself from the issuer in force,
/// with a new key each time, at a fraction of the certificate's life and at once when the issuer changes.
/// </summary>
internal sealed partial class OwnSvid(SpiffeId id, LinkerdName names, Func<SvidIssuer?> issuer, TimeProvider time, ILogger<OwnSvid> log)
{
    // Signing costs nothing and asks nobody: looking again this often finds a mended issuer soon.
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(2);

    private volatile X509Svid? _current;
    private readonly Wake _wake = new();
    private readonly ImmutableArray<string> _dnsNames = names.Of(id) is { } name ? [name] : [];
    private SvidIssuer? _signedBy;

    /// <summary>Null before the first; may have expired when no issuer could renew it.</summary>
    public X509Svid? Current => _current;

    public bool IsValid(DateTimeOffset now) => Current is { } svid && now >= svid.Leaf.NotBefore && now <= svid.Leaf.NotAfter;

    /// <summary>Says that the issuer may have changed.</summary>
    public void IssuerChanged() => _wake.Set();

    /// <summary>Signs a first certificate if an issuer is there, then keeps it fresh until cancelled; returns normally then.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            while (true) await _wake.WaitAsync(RenewIfDue(), time, ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }

    /// <summary>Renews when it is time or the issuer is another; says how long to wait before looking again.</summary>
    public TimeSpan RenewIfDue()
    {
        if (issuer() is not { } signer) return Retry;
        var due = DueAt();
        var now = time.GetUtcNow();
        if (ReferenceEquals(signer, _signedBy) && now < due) return due - now;
        if (!Sign(signer)) return Retry;
        var wait = DueAt() - time.GetUtcNow();
        return wait > Retry ? wait : Retry;
    }

    // Half of life: there is nothing to be saved by waiting longer, and a replica that misses one has the other half.
    private DateTimeOffset DueAt() => Current is { Leaf: var leaf } ? leaf.NotAfter - (leaf.NotAfter - leaf.NotBefore) / 2 : DateTimeOffset.MinValue;

    private bool Sign(SvidIssuer signer)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        try
        {
            if (!signer.TryIssue(new SvidRequest(SubjectKey.Of(key), id) { DnsNames = _dnsNames }, out var issued, out var fault))
            {
                Log.Refused(log, id, fault.Sentence());
                return false;
            }

            // The one before is not disposed: a handshake may be signing with its key. The collector takes it when none does.
            _current = X509Svid.Create(issued.Chain(), key);
            key = null;
            _signedBy = signer;
            Log.Renewed(log, Current!.ToString());
            return true;
        }
        catch (CryptographicException e)
        {
            Log.Refused(log, id, e.Message);
            return false;
        }
        finally
        {
            key?.Dispose();
        }
    }
}
