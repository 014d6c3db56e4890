using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mesh.Identity.Hosting;
using Mesh.Identity.Metrics;
using Mesh.Identity.Tokens;
using Mesh.Protocol.Identity;
using Mesh.Trust.Issuing;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Issuance;

/// <summary>
/// <c>io.linkerd.proxy.identity.Identity/Certify</c>, DER on the wire as Linkerd has it. One audit line per certificate, one line
/// per refusal; the caller of a refusal gets a code and a fixed sentence, the cause stays in the log.
/// </summary>
internal sealed partial class CertifyEndpoint(Certification certification, int maxPending, IdentityMetrics metrics, TimeProvider time, ILogger<CertifyEndpoint> log)
    : Protocol.Identity.Identity.IdentityBase
{
    private static readonly CertifyResponse Nothing = new();
    private int _pending;

    public override async Task<CertifyResponse> Certify(CertifyRequest request, ServerCallContext context)
    {
        var started = time.GetTimestamp();
        try
        {
            var outcome = Interlocked.Increment(ref _pending) > maxPending
                ? CertifyOutcome.Refuse(CertifyFault.Overloaded, null, "")
                : await certification.CertifyAsync(request, context.CancellationToken);
            if (outcome.Svid is not { } svid) return Refuse(outcome, context);
            metrics.Issued(time.GetElapsedTime(started));
            Audit(svid, outcome.Token!.Account!, context.Peer);
            return Answer(svid);
        }
        finally
        {
            Interlocked.Decrement(ref _pending);
        }
    }

    /// <summary>
    /// The issuer's certificate and those between it and the anchor. The anchor itself is left out, also where the issuer is the
    /// anchor (Linkerd sends it then): every verifier has its anchors already, and linkerd2-proxy takes an empty list.
    /// </summary>
    private static CertifyResponse Answer(IssuedSvid svid)
    {
        var response = new CertifyResponse
        {
            LeafCertificate = UnsafeByteOperations.UnsafeWrap(svid.Leaf),
            ValidUntil = new Timestamp { Seconds = svid.NotAfter.ToUnixTimeSeconds() },
        };
        foreach (var certificate in svid.Issuer.Intermediates)
            if (!certificate.Der.Span.SequenceEqual(svid.Issuer.Anchor.Der.Span)) response.IntermediateCertificates.Add(UnsafeByteOperations.UnsafeWrap(certificate.Der));
        return response;
    }

    private void Audit(IssuedSvid svid, ServiceAccount account, string peer)
    {
        if (log.IsEnabled(LogLevel.Information))
            Log.Issued(log, svid.Id.ToString(), svid.SerialText, svid.Sha256, svid.NotAfter.UtcDateTime, account.Subject, account.PodName ?? "", peer);
    }

    // The status alone goes back; an exception would cost more than the refusal, and strangers can cause refusals at will.
    private CertifyResponse Refuse(CertifyOutcome outcome, ServerCallContext context)
    {
        metrics.Refused(outcome.Fault, outcome.Token?.Fault ?? TokenFault.None);
        if (outcome.Fault == CertifyFault.Internal) Log.Failed(log, outcome.Cause, outcome.Token?.Account?.Subject ?? "", context.Peer);
        else Log.Refused(log, outcome.Label, outcome.Cause, outcome.Token?.Account?.Subject ?? "", context.Peer);
        context.Status = outcome.Fault == CertifyFault.Token
            ? new Status((StatusCode)TokenFaultTable.GrpcCode(outcome.Token!.Fault), outcome.Token.Sentence)
            : new Status(CertifyFaultTable.Code(outcome.Fault), CertifyFaultTable.Sentence(outcome.Fault));
        return Nothing;
    }
}
