using Mesh.Testing;

namespace Mesh.Spiffe.Tests;

public sealed class SvidVerifierTests
{
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/ns/shop/sa/web");

    private readonly ManualTime _time = new();

    private DateTimeOffset Now => _time.GetUtcNow();

    [Fact]
    public void Accepts_a_leaf_below_an_intermediate()
    {
        var root = TestAuthority.CreateRoot(time: _time);
        var issuer = root.CreateIntermediate();
        var leaf = issuer.CreateLeaf(Web);
        var verdict = SvidVerifier.Verify(leaf.ChainDer, root.Bundles, Now);
        Assert.Equal(SvidFault.None, verdict.Fault);
        Assert.Equal(Web, verdict.Id);
        Assert.Equal(root.Certificate, verdict.Anchor);
        Assert.Equal(leaf.Certificate.NotAfter, verdict.ValidUntil);
    }
}
