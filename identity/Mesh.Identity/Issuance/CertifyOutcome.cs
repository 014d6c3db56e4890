using Mesh.Identity.Tokens;
using Mesh.Trust.Issuing;

namespace Mesh.Identity.Issuance;

/// <summary>What became of a Certify call: a certificate, or a fault with its cause for the log.</summary>
internal sealed class CertifyOutcome
{
    private CertifyOutcome(CertifyFault fault, TokenVerdict? token, IssuedSvid? svid, string cause)
    {
        Fault = fault;
        Token = token;
        Svid = svid;
        Cause = cause;
    }

    public CertifyFault Fault { get; }

    /// <summary>The verdict on the token; null when the call was refused before it was looked at.</summary>
    public TokenVerdict? Token { get; }

    /// <summary>The certificate, exactly when <see cref="Fault"/> is None.</summary>
    public IssuedSvid? Svid { get; }

    /// <summary>More than the caller is told, printable and bounded; never a token.</summary>
    public string Cause { get; }

    /// <summary>The reason's name in metrics and logs.</summary>
    public string Label => Fault == CertifyFault.Token ? Token!.Label : CertifyFaultTable.Label(Fault);

    public static CertifyOutcome Issued(IssuedSvid svid, TokenVerdict token) => new(CertifyFault.None, token, svid, "");

    public static CertifyOutcome Refuse(CertifyFault fault, TokenVerdict? token, string cause) => new(fault, token, null, LogText.Clean(cause));

    public static CertifyOutcome RefuseToken(TokenVerdict token) => new(CertifyFault.Token, token, null, token.Cause);
}
