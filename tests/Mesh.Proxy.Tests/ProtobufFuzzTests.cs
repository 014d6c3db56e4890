using Google.Protobuf;
using Mesh.Protocol.Destination;
using Mesh.Protocol.Identity;
using Mesh.Protocol.Net;
using Mesh.Protocol.Trust;
using Mesh.Proxy.Detect;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Identity;
using Mesh.Testing;

namespace Mesh.Proxy.Tests;

/// <summary>Fuzz target "protobuf" of the proxy: what the control plane and other proxies send it, brought into its own types. Whatever comes is a verdict.</summary>
public sealed class ProtobufFuzzTests
{
    private static readonly TestAuthority Authority = TestAuthority.CreateRoot();

    private static WeightedAddr Address => new()
    {
        Addr = new TcpAddress { Ip = new Protocol.Net.IPAddress { Ipv4 = 0x7f000001 }, Port = 8080 },
        Weight = 10_000,
        TlsIdentity = new TlsIdentity
        {
            UriLikeIdentity = new TlsIdentity.Types.UriLikeIdentity { Uri = "spiffe://example.org/ns/demo/sa/web" },
            ServerName = new TlsIdentity.Types.DnsLikeIdentity { Name = "web.demo.serviceaccount.identity.mesh.example.org" },
        },
        ProtocolHint = new Protocol.Destination.ProtocolHint { OpaqueTransport = new Protocol.Destination.ProtocolHint.Types.OpaqueTransport { InboundPort = 4143 } },
        MetricLabels = { ["pod"] = "web-0" },
    };

    [Fact]
    public void Discoverys_updates_survive_fuzzing()
    {
        var table = new EndpointTable("mesh");
        EndpointSet? set = null;
        var real = new Update { Add = new WeightedAddrSet { Addrs = { Address } } };
        foreach (var update in Parsed(Update.Parser, real, 4_000))
        {
            table.Apply(update, set, out var next);
            set = next ?? set;
        }

        Assert.True(set is null || set.Endpoints.Length <= EndpointTable.MaxEndpoints);
    }

    [Fact]
    public void Discoverys_profiles_survive_fuzzing()
    {
        var real = new DestinationProfile { FullyQualifiedName = "web.demo.svc.cluster.local", Endpoint = Address };
        foreach (var profile in Parsed(DestinationProfile.Parser, real, 4_000))
            if (profile.Endpoint is { } endpoint) DiscoveryMessages.TryParse(endpoint, "mesh", out _);
    }

    [Fact]
    public void Bundle_updates_survive_fuzzing()
    {
        var real = new BundleUpdate { TrustDomain = "example.org", Sequence = 7, Anchors = { ByteString.CopyFrom(Authority.Certificate.Der.Span) } };
        foreach (var update in Parsed(BundleUpdate.Parser, real, 4_000))
        {
            var refusal = TrustState.Parse(update, Authority.TrustDomain, out var bundle);
            Assert.Equal(refusal == BundleRefusal.None, bundle is not null);
        }
    }

    [Fact]
    public void Certificates_issued_survive_fuzzing()
    {
        var real = new CertifyResponse { LeafCertificate = ByteString.CopyFrom(Authority.Certificate.Der.Span), IntermediateCertificates = { ByteString.CopyFrom(Authority.Certificate.Der.Span) } };
        foreach (var answer in Parsed(CertifyResponse.Parser, real, 4_000))
            Assert.Equal(Mesh.Spiffe.Certificate.TryParse(answer.LeafCertificate.Memory, out _, out var fault), fault == Mesh.Spiffe.CertificateFault.None);
    }

    [Fact]
    public void Transport_headers_survive_fuzzing()
    {
        var real = new Protocol.Transport.Header { Port = 8080, Name = "web.demo" }.ToByteArray();
        foreach (var input in Mutations.Of(real, 4_000))
        {
            var fault = TransportHeader.TryParse(input, out var header);
            if (fault == TransportHeaderFault.None) Assert.NotNull(header);
        }
    }

    private static IEnumerable<T> Parsed<T>(MessageParser<T> parser, IMessage<T> real, int rounds) where T : class, IMessage<T>
    {
        foreach (var input in Mutations.Of(real.ToByteArray(), rounds))
        {
            T? message = null;
            try
            {
                message = parser.ParseFrom(input);
            }
            catch (InvalidProtocolBufferException)
            {
                // What the wire layer takes as the peer's fault; anything else would be ours.
            }

            if (message is not null) yield return message;
        }
    }
}
