using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Trust.Issuing;
using Mesh.Trust.Keys;
using Mesh.Trust.Requests;

namespace Mesh.Trust.Tests.Issuing;

/// <summary>An installation's authorities at a known time, and certificates from them.</summary>
internal sealed class Installation : IDisposable
{
    public static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    public static readonly SpiffeId Web = SpiffeId.ForServiceAccount(Domain, "shop", "web");

    public Installation(
        KeyAlgorithm root = KeyAlgorithm.EcP256,
        KeyAlgorithm issuer = KeyAlgorithm.EcP256,
        IssuancePolicy? policy = null,
        Func<AuthorityProfile, AuthorityProfile>? rootProfile = null,
        Func<AuthorityProfile, AuthorityProfile>? issuerProfile = null)
    {
        Root = CertificateAuthority.CreateRoot(Change(AuthorityProfile.Root(Domain) with { Algorithm = root }, rootProfile), Time);
        Issuing = Root.CreateIssuer(Change(AuthorityProfile.Issuer(Domain) with { Algorithm = issuer }, issuerProfile), Time);
        Issuer = new SvidIssuer(Domain, [Issuing.Certificate], Root.Certificate, Issuing.Key, policy ?? IssuancePolicy.Default, Time);
    }

    public ManualTime Time { get; } = new();

    public CertificateAuthority Root { get; }

    public CertificateAuthority Issuing { get; }

    public SvidIssuer Issuer { get; }

    public TrustBundleSet Bundles => new(new TrustBundle(Domain, [Root.Certificate], 1));

    public ECDsa WorkloadKey { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public IssuedSvid Issue(Func<SvidRequest, SvidRequest>? change = null)
    {
        var request = new SvidRequest(SubjectKey.Of(WorkloadKey), Web);
        Assert.True(Issuer.TryIssue(change?.Invoke(request) ?? request, out var svid, out var fault), fault.ToString());
        return svid;
    }

    public IssuanceFault Refusal(Func<SvidRequest, SvidRequest> change)
    {
        Assert.False(Issuer.TryIssue(change(new SvidRequest(SubjectKey.Of(WorkloadKey), Web)), out _, out var fault));
        return fault;
    }

    public static X509Certificate2 Framework(ReadOnlyMemory<byte> der) => X509CertificateLoader.LoadCertificate(der.Span);

    public static Org.BouncyCastle.X509.X509Certificate BouncyCastle(ReadOnlyMemory<byte> der) =>
        new Org.BouncyCastle.X509.X509CertificateParser().ReadCertificate(der.ToArray());

    public void Dispose()
    {
        Root.Dispose();
        Issuing.Dispose();
        WorkloadKey.Dispose();
    }

    private static AuthorityProfile Change(AuthorityProfile profile, Func<AuthorityProfile, AuthorityProfile>? change) => change?.Invoke(profile) ?? profile;
}
