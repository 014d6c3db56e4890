using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Issuance;

internal sealed partial class CertifyEndpoint
{
    private static partial class Log
    {
        // The audit line. Its fields are what an auditor joins on: the certificate by serial and SHA-256, the workload by subject and pod.
        [LoggerMessage(1101, LogLevel.Information, "Issued {SpiffeId} serial {Serial} sha256 {Sha256} until {ExpiresAt:O} to {Subject} pod {Pod} at {Peer}", EventName = "CertificateIssued", SkipEnabledCheck = true)]
        public static partial void Issued(ILogger log, string spiffeId, string serial, string sha256, DateTime expiresAt, string subject, string pod, string peer);

        [LoggerMessage(1102, LogLevel.Information, "Refused a certificate, {Reason}: {Cause} (subject {Subject}, at {Peer})", EventName = "CertificateRefused")]
        public static partial void Refused(ILogger log, string reason, string cause, string subject, string peer);

        [LoggerMessage(1103, LogLevel.Error, "Could not sign a certificate: {Cause} (subject {Subject}, at {Peer})", EventName = "CertificateFailed")]
        public static partial void Failed(ILogger log, string cause, string subject, string peer);
    }
}
