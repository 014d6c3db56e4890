using System.Collections.Immutable;
using Google.Protobuf;
using Mesh.Protocol.Identity;
using Mesh.Proxy.Control;
using Mesh.Spiffe;
using Mesh.Spiffe.Renewal;

namespace Mesh.Proxy.Identity;

/// <summary>Exchanges the ServiceAccount token for a certificate by <c>Identity/Certify</c>.</summary>
internal sealed class CertifyExchange(ControlChannel channel, SpiffeId id, string tokenFile, TimeSpan timeout)
{
    private const string Path = "/io.linkerd.proxy.identity.Identity/Certify";

    /// <summary>Projected tokens are one to two kilobytes; the service takes no more than this.</summary>
    private const int MaxToken = 16 * 1024;

    /// <summary>The identity service answers with a leaf and a few intermediates.</summary>
    private const int MaxIntermediates = 8;

    public async Task<IssuedChain> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken ct)
    {
        // The platform replaces the token before it expires; one that was read earlier may be dead.
        var certify = new CertifyRequest
        {
            Identity = id.ToString(),
            Token = ByteString.CopyFrom(await ReadTokenAsync(ct)),
            CertificateSigningRequest = ByteString.CopyFrom(request.Span),
        };
        CertifyResponse response;
        try
        {
            response = await channel.CallAsync(Path, certify, CertifyResponse.Parser, timeout, ct);
        }
        catch (GrpcCallException e)
        {
            throw new SvidExchangeException(FaultOf(e), e.Message, e);
        }

        if (response.IntermediateCertificates.Count > MaxIntermediates) throw new SvidExchangeException(RenewalFault.Malformed, "the answer holds too many certificates");
        return new IssuedChain([response.LeafCertificate.Memory, .. response.IntermediateCertificates.Select(c => c.Memory)]);
    }

    private async Task<byte[]> ReadTokenAsync(CancellationToken ct)
    {
        try
        {
            await using var file = new FileStream(tokenFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            byte[] content = new byte[MaxToken + 1];
            int length = await file.ReadAtLeastAsync(content, content.Length, throwOnEndOfStream: false, ct);
            if (length > MaxToken) throw new SvidExchangeException(RenewalFault.NoCredential, "the token file is larger than 16 KiB");
            ReadOnlySpan<byte> token = content.AsSpan(0, length).Trim(" \t\r\n"u8);
            if (token.IsEmpty) throw new SvidExchangeException(RenewalFault.NoCredential, "the token file is empty");
            return token.ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SvidExchangeException(RenewalFault.NoCredential, $"the token file cannot be read: {e.Message}", e);
        }
    }

    private static RenewalFault FaultOf(GrpcCallException e) => e switch
    {
        { RefusedServer: not null } => RenewalFault.AuthorityNotTrusted,
        { Code: GrpcStatusCode.DeadlineExceeded } => RenewalFault.TimedOut,
        { Code: GrpcStatusCode.InvalidArgument or GrpcStatusCode.PermissionDenied or GrpcStatusCode.Unauthenticated or GrpcStatusCode.FailedPrecondition } => RenewalFault.Refused,
        _ => RenewalFault.Unavailable,
    };
}
