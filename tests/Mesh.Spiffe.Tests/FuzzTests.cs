using System.Text;

namespace Mesh.Spiffe.Tests;

/// <summary>
/// Feeds the fuzz targets with nothing, with seeded noise, and with real inputs that are cut off, bent and spliced.
/// </summary>
public sealed class FuzzTests
{
    private const int Seed = 20260101;

    private delegate void Target(ReadOnlySpan<byte> data);

    [Fact]
    public void SPIFFE_ids_survive_fuzzing() => Run(FuzzTargets.Id, Encoding.ASCII.GetBytes("spiffe://example.org/ns/shop/sa/web"), 20_000);

    [Fact]
    public void Certificates_survive_fuzzing()
    {
        Run(FuzzTargets.OneCertificate, FuzzTargets.Leaf.Certificate.Der.ToArray(), 4_000);
        Run(FuzzTargets.OneCertificate, BadCertificates.ReadCertificate("issuer-with-whole-uri-as-constraint").Der.ToArray(), 4_000);
        Run(FuzzTargets.OneCertificate, BadCertificates.ReadCertificate("self-signed-sha1").Der.ToArray(), 1_000);
    }

    [Fact]
    public void SVID_chains_survive_fuzzing()
    {
        byte[] chain = [.. FuzzTargets.Leaf.ChainDer.SelectMany(d => (byte[])[(byte)(d.Length >> 8), (byte)d.Length, .. d.Span])];
        Run(FuzzTargets.Chain, chain, 4_000);
    }

    [Fact]
    public void Bundles_survive_fuzzing()
    {
        Run(FuzzTargets.BundleJson, Encoding.UTF8.GetBytes(new TrustBundle(FuzzTargets.Root.TrustDomain, [FuzzTargets.Root.Certificate], 7, TimeSpan.FromSeconds(300)).ToJson()), 2_000);
        Run(FuzzTargets.BundlePem, Encoding.UTF8.GetBytes(FuzzTargets.Root.CertificatePem), 2_000);
    }

    private static void Run(Target target, byte[] real, int rounds)
    {
        target([]);
        target(real);
        for (var length = 0; length < real.Length; length += 1 + (real.Length / 500)) target(real.AsSpan(0, length));

        var random = new Random(Seed);
        var noise = new byte[1024];
        for (var i = 0; i < rounds / 4; i++)
        {
            random.NextBytes(noise);
            target(noise.AsSpan(0, random.Next(noise.Length)));
        }

        for (var i = 0; i < rounds; i++)
        {
            var bent = (byte[])real.Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--) bent[random.Next(bent.Length)] ^= (byte)(1 << random.Next(8));
            if (random.Next(4) == 0)
            {
                var from = random.Next(bent.Length);
                bent = [.. bent[..from], .. bent[random.Next(bent.Length)..]];
            }

            target(bent);
        }
    }
}
