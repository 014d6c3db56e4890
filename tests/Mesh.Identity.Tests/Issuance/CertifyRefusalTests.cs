using System.Net;
using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Identity.Issuance;
using Mesh.Identity.Tokens;
using Mesh.Protocol.Identity;
using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tests.Issuance;

/// <summary>Every way to be refused: the code, the fixed sentence, the metric, one log line, and nothing issued.</summary>
public sealed class CertifyRefusalTests
{
    private static readonly string Web = RunningIdentity.IdOf("shop", "web").ToString();
    private static readonly string WebDns = RunningIdentity.LinkerdNameOf("shop", "web");

    private static async Task RefusedAsync(RunningIdentity identity, CertifyRequest request, StatusCode code, string sentence, string reason, Protocol.Identity.Identity.IdentityClient? client = null)
    {
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await (client ?? identity.Client()).CertifyAsync(request));
        Assert.Equal(sentence, refused.Status.Detail);
        Assert.Equal(code, refused.StatusCode);
        Assert.Equal(1, await identity.MetricAsync($"mesh_identity_certify_total{{result=\"refused\",reason=\"{reason}\"}}"));
        Assert.Equal(0, await identity.MetricAsync("mesh_identity_certify_total{result=\"issued\",reason=\"none\"}"));
        Assert.Contains(reason, Assert.Single(identity.Log.Of("CertificateRefused")), StringComparison.Ordinal);
        Assert.Empty(identity.Log.Of("CertificateIssued"));
    }

    private static Task RefusedAsync(RunningIdentity identity, CertifyRequest request, CertifyFault fault) =>
        RefusedAsync(identity, request, CertifyFaultTable.Code(fault), CertifyFaultTable.Sentence(fault), CertifyFaultTable.Label(fault));

    private static Task RefusedAsync(RunningIdentity identity, CertifyRequest request, TokenFault fault) =>
        RefusedAsync(identity, request, (StatusCode)TokenFaultTable.GrpcCode(fault), TokenFaultTable.Sentence(fault), TokenFaultTable.Label(fault));

    [Fact]
    public void Every_fault_has_a_code_a_sentence_and_a_label_of_its_own()
    {
        var faults = Enum.GetValues<CertifyFault>();
        Assert.Equal(faults.Length, faults.Select(CertifyFaultTable.Sentence).Distinct().Count());
        Assert.Equal(faults.Length, faults.Select(CertifyFaultTable.Label).Distinct().Count());
        Assert.All(faults, fault => Assert.Equal(fault == CertifyFault.None, CertifyFaultTable.Code(fault) == StatusCode.OK));
    }

    [Theory]
    [InlineData(nameof(CertifyFault.IdentityMissing), StatusCode.InvalidArgument)]
    [InlineData(nameof(CertifyFault.IdentityTooLong), StatusCode.InvalidArgument)]
    [InlineData(nameof(CertifyFault.RequestMissing), StatusCode.InvalidArgument)]
    [InlineData(nameof(CertifyFault.RequestTooLarge), StatusCode.InvalidArgument)]
    [InlineData(nameof(CertifyFault.RequestMalformed), StatusCode.InvalidArgument)]
    [InlineData(nameof(CertifyFault.RequestBadSignature), StatusCode.InvalidArgument)]
    [InlineData(nameof(CertifyFault.RequestKey), StatusCode.InvalidArgument)]
    [InlineData(nameof(CertifyFault.RequestForeignName), StatusCode.PermissionDenied)]
    [InlineData(nameof(CertifyFault.IdentityMismatch), StatusCode.PermissionDenied)]
    [InlineData(nameof(CertifyFault.NotADnsName), StatusCode.InvalidArgument)]
    public async Task A_bad_request_is_refused_with_its_code_and_sentence(string name, StatusCode code)
    {
        var fault = Enum.Parse<CertifyFault>(name);
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = identity.Request(key);
        switch (fault)
        {
            case CertifyFault.IdentityMissing:
                request.Identity = "";
                break;
            case CertifyFault.IdentityTooLong:
                request.Identity = "spiffe://cluster.local/" + new string('a', 2048);
                break;
            case CertifyFault.RequestMissing:
                request.CertificateSigningRequest = ByteString.Empty;
                break;
            case CertifyFault.RequestTooLarge:
                request.CertificateSigningRequest = ByteString.CopyFrom(new byte[16 * 1024 + 1]);
                break;
            case CertifyFault.RequestMalformed:
                request.CertificateSigningRequest = ByteString.CopyFromUtf8("-----BEGIN CERTIFICATE REQUEST-----");
                break;
            case CertifyFault.RequestBadSignature:
                var der = Csr.Create(key, Web);
                der[^1] ^= 1;
                request.CertificateSigningRequest = Csr.Bytes(der);
                break;
            case CertifyFault.RequestKey:
                using (var weak = RSA.Create(1024)) request.CertificateSigningRequest = Csr.Bytes(Csr.Create(weak, Web));
                break;
            case CertifyFault.RequestForeignName:
                request.CertificateSigningRequest = Csr.Bytes(Csr.Create(key, RunningIdentity.IdOf("shop", "api").ToString()));
                break;
            case CertifyFault.IdentityMismatch:
                request.Identity = RunningIdentity.IdOf("shop", "api").ToString();
                break;
            case CertifyFault.NotADnsName:
                var longName = new string('a', 64);
                request.Identity = RunningIdentity.LinkerdNameOf("shop", longName);
                request.Token = ByteString.CopyFromUtf8(identity.Token("shop", longName));
                request.CertificateSigningRequest = Csr.Bytes(Csr.Create(key));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(name));
        }

        Assert.Equal(code, CertifyFaultTable.Code(fault));
        await RefusedAsync(identity, request, fault);
    }

    [Theory]
    [InlineData("a second URI")]
    [InlineData("an e-mail address")]
    [InlineData("an IP address")]
    [InlineData("another DNS name")]
    [InlineData("another common name")]
    [InlineData("an organisation")]
    [InlineData("the SPIFFE ID of the root")]
    public async Task A_signing_request_may_only_repeat_the_identity(string what)
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = identity.Request(key);
        request.CertificateSigningRequest = Csr.Bytes(what switch
        {
            "a second URI" => Csr.Create(key, more: names =>
            {
                names.AddUri(new Uri(Web));
                names.AddUri(new Uri("spiffe://cluster.local/ns/mesh/sa/mesh-identity"));
            }),
            "an e-mail address" => Csr.Create(key, more: names => names.AddEmailAddress("root@cluster.local")),
            "an IP address" => Csr.Create(key, more: names => names.AddIpAddress(IPAddress.Loopback)),
            "another DNS name" => Csr.Create(key, dns: "kubernetes.default.svc"),
            "another common name" => Csr.Create(key, Web, subject: "CN=mesh-identity"),
            "an organisation" => Csr.Create(key, Web, subject: "O=system:masters"),
            _ => Csr.Create(key, "spiffe://cluster.local"),
        });
        await RefusedAsync(identity, request, CertifyFault.RequestForeignName);
    }

    [Theory]
    [InlineData(TokenFault.Missing, StatusCode.InvalidArgument)]
    [InlineData(TokenFault.TooLarge, StatusCode.InvalidArgument)]
    [InlineData(TokenFault.Malformed, StatusCode.InvalidArgument)]
    [InlineData(TokenFault.UnknownKey, StatusCode.Unauthenticated)]
    [InlineData(TokenFault.Expired, StatusCode.Unauthenticated)]
    [InlineData(TokenFault.WrongAudience, StatusCode.Unauthenticated)]
    [InlineData(TokenFault.WrongIssuer, StatusCode.Unauthenticated)]
    [InlineData(TokenFault.BadSignature, StatusCode.Unauthenticated)]
    public async Task A_bad_token_is_refused_with_its_code_and_sentence(TokenFault fault, StatusCode code)
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var stranger = TokenIssuer.Create(RunningIdentity.TokenIssuerName, TokenIssuerKey.P256, identity.Time);
        var request = identity.Request(key);
        // A signing request that would be refused as well: with a bad token nobody looks at it.
        request.CertificateSigningRequest = ByteString.CopyFromUtf8("junk");
        request.Token = ByteString.CopyFromUtf8(fault switch
        {
            TokenFault.Missing => "",
            TokenFault.TooLarge => new string('a', TokenLimits.MaxTokenBytes + 1),
            TokenFault.Malformed => "not.a.token",
            TokenFault.UnknownKey => stranger.Issue("shop", "web", "identity.l5d.io", TimeSpan.FromHours(1)),
            TokenFault.Expired => identity.Token(lifetime: TimeSpan.FromSeconds(-60)),
            TokenFault.WrongAudience => identity.Token(audience: "https://kubernetes.default.svc"),
            TokenFault.WrongIssuer => identity.Tokens.Sign("""{"iss":"https://other.test","aud":["identity.l5d.io"],"exp":4102444800,"sub":"system:serviceaccount:shop:web"}"""u8),
            _ => Tampered(identity.Token()),
        });
        Assert.Equal(code, (StatusCode)TokenFaultTable.GrpcCode(fault));
        await RefusedAsync(identity, request, fault);
    }

    // What a validator can say besides: not all of these can be brought about with one kind of validator, so it is told here.
    [Theory]
    [InlineData(TokenFault.UnsupportedAlgorithm, StatusCode.Unauthenticated)]
    [InlineData(TokenFault.NotYetValid, StatusCode.Unauthenticated)]
    [InlineData(TokenFault.Rejected, StatusCode.Unauthenticated)]
    [InlineData(TokenFault.NotServiceAccount, StatusCode.PermissionDenied)]
    [InlineData(TokenFault.NotBoundToPod, StatusCode.PermissionDenied)]
    [InlineData(TokenFault.KeysUnavailable, StatusCode.Unavailable)]
    [InlineData(TokenFault.ReviewUnavailable, StatusCode.Unavailable)]
    [InlineData(TokenFault.Overloaded, StatusCode.Unavailable)]
    [InlineData(TokenFault.None, StatusCode.Unavailable)] // a good token, and no issuer
    public async Task What_the_validator_says_is_the_answer_and_is_counted(TokenFault fault, StatusCode code)
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var metrics = new Mesh.Identity.Metrics.IdentityMetrics();
        var tokens = new HeldTokens();
        Assert.True(ServiceAccount.TryParseSubject("system:serviceaccount:shop:web", out var account));
        tokens.Release.SetResult(fault == TokenFault.None ? TokenVerdict.Accept(account, null) : TokenVerdict.Refuse(fault, "why"));
        var certification = new Certification(tokens, () => null, RunningIdentity.TrustDomain, new LinkerdName(RunningIdentity.TrustDomain, "mesh"), metrics, identity.Time);
        var endpoint = new CertifyEndpoint(certification, 1, metrics, identity.Time, identity.Log.Factory.CreateLogger<CertifyEndpoint>());
        var call = new FakeCall();
        await endpoint.Certify(identity.Request(key), call);
        Assert.Equal(code, call.Status.StatusCode);
        Assert.Equal(fault == TokenFault.None ? CertifyFaultTable.Sentence(CertifyFault.IssuerUnavailable) : TokenFaultTable.Sentence(fault), call.Status.Detail);
        var label = fault == TokenFault.None ? "issuer_unavailable" : TokenFaultTable.Label(fault);
        var page = new PrometheusText();
        metrics.WriteTo(page);
        Assert.Contains($"mesh_identity_certify_total{{result=\"refused\",reason=\"{label}\"}} 1\n", page.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_of_one_account_cannot_get_the_identity_of_another()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = identity.Request(key);
        request.Token = ByteString.CopyFromUtf8(identity.Token("shop", "api"));
        await RefusedAsync(identity, request, CertifyFault.IdentityMismatch);
    }

    [Fact]
    public async Task The_identity_of_another_trust_domain_is_refused()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = identity.Request(key);
        request.Identity = "spiffe://other.example/ns/shop/sa/web";
        await RefusedAsync(identity, request, CertifyFault.IdentityMismatch);
    }

    [Fact]
    public async Task Too_many_calls_at_once_are_told_to_come_back()
    {
        var metrics = new Mesh.Identity.Metrics.IdentityMetrics();
        Assert.Equal(StatusCode.ResourceExhausted, CertifyFaultTable.Code(CertifyFault.Overloaded));
        await using var identity = await RunningIdentity.StartAsync(settings: s => s["MESH_IDENTITY_MAX_PENDING_CERTIFY"] = "1");
        var held = new HeldTokens();
        var certification = new Certification(held, () => null, RunningIdentity.TrustDomain, new LinkerdName(RunningIdentity.TrustDomain, "mesh"), metrics, identity.Time);
        var endpoint = new CertifyEndpoint(certification, 1, metrics, identity.Time, identity.Log.Factory.CreateLogger<CertifyEndpoint>());
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var first = endpoint.Certify(identity.Request(key), new FakeCall());
        var second = new FakeCall();
        await endpoint.Certify(identity.Request(key), second);
        Assert.Equal(StatusCode.ResourceExhausted, second.Status.StatusCode);
        held.Release.SetResult(TokenVerdict.Refuse(TokenFault.Malformed, ""));
        await first;
        var third = new FakeCall();
        await endpoint.Certify(identity.Request(key), third);
        Assert.Equal(StatusCode.InvalidArgument, third.Status.StatusCode);
    }

    [Fact]
    public async Task A_megabyte_of_junk_is_refused_unread_and_the_next_call_is_served()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var client = identity.Client();
        var junk = identity.Request(key);
        junk.CertificateSigningRequest = ByteString.CopyFrom(RandomNumberGenerator.GetBytes(1 << 20));
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.CertifyAsync(junk));
        Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
        Assert.NotEmpty((await client.CertifyAsync(identity.Request(key))).LeafCertificate);
    }

    [Fact]
    public async Task No_log_line_ever_holds_a_token()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var client = identity.Client();
        var token = identity.Token();
        var attempts = new List<CertifyRequest>();
        void Attempt(Action<CertifyRequest> change)
        {
            var request = identity.Request(key);
            request.Token = ByteString.CopyFromUtf8(token);
            change(request);
            attempts.Add(request);
        }

        Attempt(_ => { });
        Attempt(r => r.Identity = token);
        Attempt(r => r.Identity = "Bearer " + token);
        Attempt(r => r.Identity = RunningIdentity.IdOf("shop", "api").ToString());
        Attempt(r => r.Token = ByteString.CopyFromUtf8("Bearer " + token));
        Attempt(r => r.Token = ByteString.CopyFromUtf8(Tampered(token)));
        Attempt(r => r.Token = ByteString.CopyFromUtf8(token[..^10]));
        Attempt(r => r.CertificateSigningRequest = ByteString.CopyFromUtf8(token));
        Attempt(r => r.CertificateSigningRequest = Csr.Bytes(Csr.Create(key, dns: token)));
        Attempt(r => r.CertificateSigningRequest = Csr.Bytes(Csr.Create(key, uri: token)));
        foreach (var attempt in attempts)
        {
            try
            {
                await client.CertifyAsync(attempt);
            }
            catch (RpcException refused)
            {
                Assert.DoesNotContain(token[..40], refused.ToString(), StringComparison.Ordinal);
            }
        }

        Assert.NotEmpty(identity.Log.Of("CertificateIssued"));
        Assert.NotEmpty(identity.Log.Of("CertificateRefused"));
        var parts = token.Split('.');
        Assert.All(identity.Log.Lines, line =>
        {
            Assert.DoesNotContain(parts[1][..20], line.Text, StringComparison.Ordinal);
            Assert.DoesNotContain(parts[2][..20], line.Text, StringComparison.Ordinal);
        });
    }

    private static string Tampered(string token)
    {
        var signature = token.LastIndexOf('.') + 1;
        return token[..signature] + (token[signature] == 'A' ? 'B' : 'A') + token[(signature + 1)..];
    }

    private sealed class HeldTokens : ITokenValidator
    {
        public TaskCompletionSource<TokenVerdict> Release { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string? NotReadyReason => null;

        public Task RunAsync(CancellationToken ct) => Task.CompletedTask;

        public ValueTask<TokenVerdict> ValidateAsync(ReadOnlyMemory<byte> token, CancellationToken ct) => new(Release.Task.WaitAsync(ct));
    }

    private sealed class FakeCall : ServerCallContext
    {
        protected override string MethodCore => "Certify";
        protected override string HostCore => "";
        protected override string PeerCore => "ipv4:127.0.0.1:1";
        protected override DateTime DeadlineCore => DateTime.MaxValue;
        protected override Metadata RequestHeadersCore { get; } = [];
        protected override CancellationToken CancellationTokenCore => CancellationToken.None;
        protected override Metadata ResponseTrailersCore { get; } = [];
        protected override Status StatusCore { get; set; }
        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }
}
