using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Grpc.Core;
using Mesh.Identity.Issuance;
using Mesh.Spiffe;

namespace Mesh.Identity.Tests.Hosting;

/// <summary>What callers see while the issuer is exchanged, expires and comes back.</summary>
public sealed class IssuerChangeTests
{
    [Fact]
    public async Task An_issuer_is_exchanged_under_load_and_no_call_fails()
    {
        await using var identity = await RunningIdentity.StartAsync();
        var client = identity.Client();
        using var stop = new CancellationTokenSource();
        var callers = Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var issuers = new HashSet<string>();
            while (!stop.IsCancellationRequested)
            {
                var response = await client.CertifyAsync(identity.Request(key, account: $"web-{caller}"));
                Certificate[] chain = [Certificate.Parse(response.LeafCertificate.ToByteArray()), .. response.IntermediateCertificates.Select(c => Certificate.Parse(c.ToByteArray()))];
                var verdict = SvidVerifier.Verify([.. chain], identity.Root.Bundles, identity.Time.GetUtcNow());
                Assert.True(verdict.IsValid, verdict.Sentence);
                lock (issuers) issuers.Add(chain[1].Sha256);
            }

            return issuers;
        })).ToArray();

        var own = identity.Server.Own.Current!.Leaf.Sha256;
        for (var i = 0; i < 3; i++)
        {
            var next = identity.Root.CreateIntermediate();
            identity.WriteIssuer(next);
            await Eventually.True(() => identity.Server.Own.Current!.Leaf.AuthorityKeyId.Span.SequenceEqual(next.Certificate.SubjectKeyId.Span), "own certificate by the new issuer");
        }

        await stop.CancelAsync();
        Assert.True((await Task.WhenAll(callers)).All(issuers => issuers.Count >= 1));
        Assert.NotEqual(own, identity.Server.Own.Current!.Leaf.Sha256);
        using var last = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var final = await identity.Client().CertifyAsync(identity.Request(last));
        Assert.Equal(identity.Issuer.Certificate.Der.ToArray(), final.IntermediateCertificates[0].ToByteArray());
    }

    [Theory]
    [InlineData("04:00:00", nameof(CertifyFault.IssuerUnavailable), "The certificate authority has no usable issuer at present.")]
    // Half a minute is left of it: less than the shortest life of an SVID.
    [InlineData("02:59:30", nameof(CertifyFault.IssuerExpiring), "The certificate authority's issuer expires too soon to issue a certificate.")]
    public async Task An_issuer_that_is_over_or_nearly_so_means_unavailable_and_not_ready_until_there_is_a_good_one(string later, string fault, string sentence)
    {
        await using var identity = await RunningIdentity.StartAsync();
        var brief = identity.Root.CreateIntermediate(o => o with { NotAfter = identity.Time.GetUtcNow().AddHours(3) });
        identity.WriteIssuer(brief);
        await Eventually.True(() => identity.Server.Own.Current!.Leaf.AuthorityKeyId.Span.SequenceEqual(brief.Certificate.SubjectKeyId.Span), "brief issuer in force");
        // Connected while all was well: the service's own certificate ends with its issuer, so a new connection would fail in TLS.
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var client = identity.Client();
        await client.CertifyAsync(identity.Request(key));

        identity.Time.Shift = TimeSpan.Parse(later, CultureInfo.InvariantCulture);
        var (status, body) = await identity.AdminAsync("/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("\"reason\":\"issuer\"", body, StringComparison.Ordinal);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.CertifyAsync(identity.Request(key)));
        Assert.Equal(StatusCode.Unavailable, refused.StatusCode);
        Assert.Equal(sentence, refused.Status.Detail);
        var reason = CertifyFaultTable.Label(Enum.Parse<CertifyFault>(fault));
        Assert.Equal(1, await identity.MetricAsync($"mesh_identity_certify_total{{result=\"refused\",reason=\"{reason}\"}}"));
        Assert.Contains(reason, Assert.Single(identity.Log.Of("CertificateRefused")), StringComparison.Ordinal);

        identity.WriteIssuer(identity.Root.CreateIntermediate());
        await identity.UntilReadyAsync();
        await client.CertifyAsync(identity.Request(key));
        await identity.Client().CertifyAsync(identity.Request(key));
    }

    [Fact]
    public async Task A_bad_issuer_is_reported_and_the_good_one_goes_on()
    {
        await using var identity = await RunningIdentity.StartAsync();
        var key = Path.Combine(identity.IssuerDirectory, "tls.key");
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        File.WriteAllText(key, other.ExportPkcs8PrivateKeyPem());
        await Eventually.True(() => identity.MetricAsync("mesh_identity_issuer_reloads_total{result=\"refused\"}").Result == 1, "refusal counted");
        Assert.True(identity.IsReady);
        using var leaf = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await identity.Client().CertifyAsync(identity.Request(leaf));
    }
}
