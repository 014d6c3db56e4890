using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;
using Mesh.Identity.Metrics;
using Mesh.Identity.Tokens;
using Mesh.Protocol.Identity;
using Mesh.Spiffe;
using Mesh.Trust.Issuing;
using Mesh.Trust.Requests;

namespace Mesh.Identity.Issuance;

/// <summary>
/// From a token and a signing request to a certificate. Cheap checks of shape come first, then the token; the signing request is
/// not looked into before its sender is known. Every name in the certificate comes from the token: the request may only repeat
/// it, as the SPIFFE ID or in Linkerd's DNS form.
/// </summary>
internal sealed class Certification(ITokenValidator tokens, Func<SvidIssuer?> issuer, TrustDomain trustDomain, LinkerdName names, IdentityMetrics metrics, TimeProvider time)
{
    // A SPIFFE ID has at most 2048 bytes (SPIFFE-ID section 2.3), a DNS name 253.
    private const int MaxIdentityLength = 2048;
    private const int MaxShownName = 253;
    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-._");

    public async ValueTask<CertifyOutcome> CertifyAsync(CertifyRequest request, CancellationToken ct)
    {
        var shape = JudgeShape(request);
        if (shape != CertifyFault.None) return CertifyOutcome.Refuse(shape, null, "");

        var started = time.GetTimestamp();
        var token = await tokens.ValidateAsync(request.Token.Memory, ct);
        metrics.TokenValidated(time.GetElapsedTime(started));
        return token.IsValid ? CertifyFor(token, token.Account, request) : CertifyOutcome.RefuseToken(token);
    }

    private static CertifyFault JudgeShape(CertifyRequest request) => request switch
    {
        { Identity.Length: 0 } => CertifyFault.IdentityMissing,
        { Identity.Length: > MaxIdentityLength } => CertifyFault.IdentityTooLong,
        { CertificateSigningRequest.Length: 0 } => CertifyFault.RequestMissing,
        { CertificateSigningRequest.Length: > SigningRequest.MaxLength } => CertifyFault.RequestTooLarge,
        _ => CertifyFault.None,
    };

    private CertifyOutcome CertifyFor(TokenVerdict token, ServiceAccount account, CertifyRequest request)
    {
        var id = SpiffeId.ForServiceAccount(trustDomain, account.Namespace, account.Name);
        var uri = id.ToString();
        var dnsName = names.Of(account.Namespace, account.Name);
        if (request.Identity != uri && request.Identity != dnsName)
            return CertifyOutcome.Refuse(CertifyFault.IdentityMismatch, token, $"asked for {Describe(request.Identity)}, the token is of {uri}");
        if (issuer() is not { } signer) return CertifyOutcome.Refuse(CertifyFault.IssuerUnavailable, token, "no issuer is loaded");

        if (!SigningRequest.TryParse(request.CertificateSigningRequest.Memory, out var csr, out var csrFault))
            return CertifyOutcome.Refuse(FaultOf(csrFault), token, csrFault.Sentence());
        if (ForeignName(csr, uri, dnsName) is { } foreign) return CertifyOutcome.Refuse(CertifyFault.RequestForeignName, token, $"{uri} asked for {foreign}");

        var wantsDnsName = csr.DnsNames.Length > 0 || request.Identity == dnsName;
        return Issue(signer, token, new SvidRequest(csr.Key, id) { DnsNames = wantsDnsName ? [dnsName] : ImmutableArray<string>.Empty });
    }

    private static CertifyOutcome Issue(SvidIssuer signer, TokenVerdict token, SvidRequest request)
    {
        try
        {
            return signer.TryIssue(request, out var svid, out var fault)
                ? CertifyOutcome.Issued(svid, token)
                : CertifyOutcome.Refuse(FaultOf(fault), token, fault.Sentence());
        }
        catch (CryptographicException e)
        {
            return CertifyOutcome.Refuse(CertifyFault.Internal, token, e.Message);
        }
    }

    // The Subject of a request is never copied, but a caller that asks for more than it gets is better told than surprised.
    private static string? ForeignName(SigningRequest csr, string uri, string dnsName)
    {
        foreach (var name in csr.UriNames)
            if (name != uri) return $"the URI {Describe(name)}";
        foreach (var name in csr.DnsNames)
            if (name != dnsName) return $"the DNS name {Describe(name)}";
        foreach (var name in csr.CommonNames)
            if (name.Length > 0 && name != dnsName && name != uri) return $"the common name {Describe(name)}";
        if (csr.HasOtherNames) return "a name that is neither a URI nor a DNS name";
        return csr.HasOtherSubject ? "a Subject with more than a common name" : null;
    }

    // A client that mixes up its fields may put its token here, and tokens do not go into logs: what is shown is a name or nothing.
    private static string Describe(string name) =>
        name.Length <= MaxShownName && (name.AsSpan().ContainsAnyExcept(NameCharacters) is false || SpiffeId.TryParse(name, out _, out _)) ? name : "something that is no name";

    private static CertifyFault FaultOf(SigningRequestFault fault) => fault switch
    {
        SigningRequestFault.Empty => CertifyFault.RequestMissing,
        SigningRequestFault.TooLong => CertifyFault.RequestTooLarge,
        SigningRequestFault.BadSignature => CertifyFault.RequestBadSignature,
        SigningRequestFault.UnsupportedKey or SigningRequestFault.UnsupportedSignature => CertifyFault.RequestKey,
        SigningRequestFault.TooManyNames => CertifyFault.RequestForeignName,
        _ => CertifyFault.RequestMalformed,
    };

    private static CertifyFault FaultOf(IssuanceFault fault) => fault switch
    {
        IssuanceFault.IssuerExpired or IssuanceFault.IssuerNotYetValid => CertifyFault.IssuerUnavailable,
        IssuanceFault.IssuerExpiresTooSoon => CertifyFault.IssuerExpiring,
        IssuanceFault.BadDnsName => CertifyFault.NotADnsName,
        _ => CertifyFault.Internal,
    };
}
