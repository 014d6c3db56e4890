using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Spiffe;

namespace Mesh.Proxy.Connections;

/// <summary>How a failed handshake is named: the label of the counter, the sentence of the log, the end of the connection.</summary>
internal static class Handshakes
{
    /// <summary>One label for each fault: a certificate we refused is counted by the rule it broke.</summary>
    public static string Reason(this TlsHandshakeResult handshake) => handshake.Failure switch
    {
        TlsHandshakeFailure.CertificateRejected when handshake.Verdict is { } verdict => "certificate_" + LabelText.SnakeCase(verdict.Fault.ToString()),
        TlsHandshakeFailure.RejectedByPeer => "rejected_by_peer",
        var failure => LabelText.SnakeCase(failure.ToString()),
    };

    public static ConnectionEnd End(this TlsHandshakeResult handshake) => handshake.Failure switch
    {
        TlsHandshakeFailure.CertificateRejected or TlsHandshakeFailure.NoCertificate => ConnectionEnd.IdentityRejected,
        _ => ConnectionEnd.TlsHandshakeFailed,
    };

    /// <summary>For logs. The claimed identity is shown as a claim: it was refused.</summary>
    public static string Describe(this TlsHandshakeResult handshake)
    {
        var text = handshake.Reason();
        if (handshake.PeerAlert is { } alert) text += $" (alert {alert})";
        if (handshake.Verdict is { IsValid: false } verdict) text += $": {verdict.Sentence}{(verdict.ClaimedId is { } claim ? $" It claims {claim}." : "")}";
        return handshake.Detail.Length == 0 ? text : $"{text}: {handshake.Detail}";
    }
}
