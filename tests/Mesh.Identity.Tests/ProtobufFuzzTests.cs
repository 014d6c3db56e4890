using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using Mesh.Identity.Bundles;
using Mesh.Identity.Issuance;
using Mesh.Identity.Tokens;
using Mesh.Protocol.Identity;
using Mesh.Protocol.Trust;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Identity.Tests;

/// <summary>Fuzz target "protobuf" of the identity service: every message a peer can send it, parsed and judged. Whatever comes is a verdict.</summary>
public sealed class ProtobufFuzzTests
{
    private static readonly SpiffeId Web = RunningIdentity.IdOf("shop", "web");

    [Fact]
    public async Task Certify_requests_survive_fuzzing()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var account = ServiceAccountToken.Instance;
        var certification = new Certification(account, () => null, RunningIdentity.TrustDomain, new LinkerdName(RunningIdentity.TrustDomain, "mesh"), new Mesh.Identity.Metrics.IdentityMetrics(), TimeProvider.System);
        var real = new CertifyRequest { Identity = Web.ToString(), Token = ByteString.CopyFromUtf8("header.payload.signature"), CertificateSigningRequest = Csr.Bytes(Csr.Create(key, Web.ToString())) };
        foreach (var input in Mutations.Of(real.ToByteArray(), 2_000))
        {
            if (Parse(CertifyRequest.Parser, input) is not { } request) continue;
            var outcome = await certification.CertifyAsync(request, CancellationToken.None);
            Assert.Null(outcome.Svid);
            Assert.NotEqual(CertifyFault.Internal, outcome.Fault);
        }
    }

    [Fact]
    public void Bundle_statuses_survive_fuzzing()
    {
        var real = new BundleStatus
        {
            SpiffeId = Web.ToString(), InstanceId = "web-0", Version = "0.1.0", BundleSequence = 7, AuthorityKeyId = ByteString.CopyFrom(new byte[20]),
            SvidExpiresAt = new Timestamp { Seconds = 1_800_000_000 }, Rejection = "none",
        };
        foreach (var input in Mutations.Of(real.ToByteArray(), 5_000))
        {
            if (Parse(BundleStatus.Parser, input) is not { } status) continue;
            var holding = BundleHolding.Parse(status, Web, out var fault);
            Assert.Equal(fault == HoldingFault.None, holding is not null);
        }
    }

    [Fact]
    public void Health_and_reflection_requests_survive_fuzzing()
    {
        foreach (var input in Mutations.Of(new HealthCheckRequest { Service = "io.linkerd.proxy.identity.Identity" }.ToByteArray(), 2_000)) Parse(HealthCheckRequest.Parser, input);
        foreach (var input in Mutations.Of(new ServerReflectionRequest { Host = "x", FileContainingSymbol = "mesh.trust.v1.Trust" }.ToByteArray(), 2_000)) Parse(ServerReflectionRequest.Parser, input);
    }

    // What the wire layer lets through as a fault of the peer; anything else would be a fault of ours.
    private static T? Parse<T>(MessageParser<T> parser, byte[] input) where T : class, IMessage<T>
    {
        try
        {
            return parser.ParseFrom(input);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private sealed class ServiceAccountToken : ITokenValidator
    {
        public static readonly ServiceAccountToken Instance = new();

        public string? NotReadyReason => null;

        public ValueTask<TokenVerdict> ValidateAsync(ReadOnlyMemory<byte> token, CancellationToken ct) => ValueTask.FromResult(TokenVerdict.Refuse(TokenFault.Malformed, ""));

        public Task RunAsync(CancellationToken ct) => Task.CompletedTask;
    }
}
