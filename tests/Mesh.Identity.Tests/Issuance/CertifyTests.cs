using System.Collections.Immutable;
using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Protocol.Identity;
using Mesh.Spiffe;

namespace Mesh.Identity.Tests.Issuance;

public sealed class CertifyTests
{
    private static readonly SpiffeId Web = RunningIdentity.IdOf("shop", "web");

    private static ImmutableArray<Certificate> ChainOf(CertifyResponse response) =>
        [Certificate.Parse(response.LeafCertificate.ToByteArray()), .. response.IntermediateCertificates.Select(c => Certificate.Parse(c.ToByteArray()))];

    [Fact]
    public async Task A_token_becomes_an_svid_that_verifies()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var response = await identity.Client().CertifyAsync(identity.Request(key));
        var chain = ChainOf(response);

        var verdict = SvidVerifier.Verify(chain, identity.Root.Bundles, identity.Time.GetUtcNow());
        Assert.True(verdict.IsValid, verdict.Sentence);
        Assert.Equal(Web, verdict.Id);
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), chain[0].SubjectPublicKeyInfo.ToArray());
        Assert.Empty(chain[0].DnsNames);
        Assert.Equal(identity.Issuer.Certificate.Sha256, Assert.Single(chain[1..]).Sha256);
        Assert.Equal(chain[0].NotAfter, response.ValidUntil.ToDateTimeOffset());
        Assert.InRange(chain[0].NotAfter - identity.Time.GetUtcNow(), TimeSpan.FromMinutes(58), TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task A_stock_linkerd_request_gets_the_dns_name_beside_the_spiffe_id()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var name = RunningIdentity.LinkerdNameOf("shop", "web");
        Assert.Equal("web.shop.serviceaccount.identity.mesh.cluster.local", name);
        var response = await identity.Client().CertifyAsync(new CertifyRequest
        {
            Identity = name,
            Token = ByteString.CopyFromUtf8(identity.Token()),
            CertificateSigningRequest = Csr.Bytes(Csr.Create(key, dns: name, subject: $"CN={name}")),
        });
        var leaf = ChainOf(response)[0];
        Assert.Equal([name], leaf.DnsNames);
        Assert.Equal([Web.ToString()], leaf.UriNames);
        Assert.True(SvidVerifier.Verify(ChainOf(response), identity.Root.Bundles, identity.Time.GetUtcNow()).IsValid);
    }

    [Fact]
    public async Task An_issuer_that_is_its_own_anchor_sends_no_intermediates()
    {
        await using var identity = await RunningIdentity.StartAsync(issuerIsAnchor: true);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var response = await identity.Client().CertifyAsync(identity.Request(key));
        Assert.Empty(response.IntermediateCertificates);
        Assert.True(SvidVerifier.Verify(ChainOf(response), identity.Root.Bundles, identity.Time.GetUtcNow()).IsValid);
    }

    [Fact]
    public async Task An_account_with_dots_in_its_name_gets_its_identity()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var response = await identity.Client().CertifyAsync(identity.Request(key, account: "web.v2"));
        Assert.Equal(["spiffe://cluster.local/ns/shop/sa/web.v2"], ChainOf(response)[0].UriNames);
    }

    [Fact]
    public async Task A_request_without_names_takes_its_name_from_the_token()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = RSA.Create(2048);
        var response = await identity.Client().CertifyAsync(new CertifyRequest
        {
            Identity = Web.ToString(),
            Token = ByteString.CopyFromUtf8(identity.Token()),
            CertificateSigningRequest = Csr.Bytes(Csr.Create(key)),
        });
        Assert.Equal([Web.ToString()], ChainOf(response)[0].UriNames);
    }

    [Fact]
    public async Task Each_issuance_leaves_one_audit_line()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var leaf = ChainOf(await identity.Client().CertifyAsync(identity.Request(key)))[0];
        var line = Assert.Single(identity.Log.Of("CertificateIssued"));
        Assert.Contains(Web.ToString(), line, StringComparison.Ordinal);
        Assert.Contains(leaf.SerialText, line, StringComparison.Ordinal);
        Assert.Contains(leaf.Sha256, line, StringComparison.Ordinal);
        Assert.Contains(leaf.NotAfter.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss", null), line, StringComparison.Ordinal);
        Assert.Contains("system:serviceaccount:shop:web", line, StringComparison.Ordinal);
        Assert.Contains("pod web-0", line, StringComparison.Ordinal);
        Assert.Contains("127.0.0.1:", line, StringComparison.Ordinal);
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_certify_total{result=\"issued\",reason=\"none\"}"));
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_certify_duration_seconds_count"));
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_token_validation_duration_seconds_count"));
    }

    [Fact]
    public async Task Certificates_issued_at_once_differ_in_serial_and_all_verify()
    {
        await using var identity = await RunningIdentity.StartAsync();
        var client = identity.Client();
        var chains = await Task.WhenAll(Enumerable.Range(0, 8).Select(caller => Task.Run(async () =>
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var mine = new List<ImmutableArray<Certificate>>();
            for (var i = 0; i < 25; i++) mine.Add(ChainOf(await client.CertifyAsync(identity.Request(key, account: $"web-{caller}"))));
            return mine;
        })));
        var all = chains.SelectMany(c => c).ToArray();
        Assert.Equal(200, all.Select(c => c[0].SerialText).Distinct().Count());
        Assert.All(all, chain => Assert.True(SvidVerifier.Verify(chain, identity.Root.Bundles, identity.Time.GetUtcNow()).IsValid));
    }
}
