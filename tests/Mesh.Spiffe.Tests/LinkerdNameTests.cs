namespace Mesh.Spiffe.Tests;

public sealed class LinkerdNameTests
{
    [Theory]
    [InlineData("web.demo.serviceaccount.identity.mesh.example.org", "spiffe://example.org/ns/demo/sa/web", "mesh")]
    [InlineData("a.b.demo.serviceaccount.identity.linkerd.cluster.local", "spiffe://cluster.local/ns/demo/sa/a.b", "linkerd")]
    public void A_name_reads_as_its_id_and_prints_as_it_was(string name, string id, string controlPlane)
    {
        Assert.True(LinkerdName.TryParse(name, out var parsed));
        Assert.Equal(id, parsed.ToString());
        Assert.Equal(name, new LinkerdName(parsed.TrustDomain, controlPlane).Of(parsed));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("web.example.org")]
    [InlineData("demo.serviceaccount.identity.mesh.example.org")]
    [InlineData(".demo.serviceaccount.identity.mesh.example.org")]
    [InlineData("web.demo.serviceaccount.identity.mesh")]
    [InlineData("web.demo.serviceaccount.identity.mesh.")]
    [InlineData("web.demo.serviceaccount.identity..example.org")]
    [InlineData("web.demo.serviceaccount.identity.mesh.Example.org")]
    [InlineData("web.-demo.serviceaccount.identity.mesh.example.org")]
    [InlineData("we b.demo.serviceaccount.identity.mesh.example.org")]
    [InlineData("a.b.serviceaccount.identity.c.serviceaccount.identity.m.d")]
    [InlineData("spiffe://example.org/ns/demo/sa/web")]
    public void What_is_no_such_name_is_refused(string? text)
    {
        Assert.False(LinkerdName.TryParse(text, out var id));
        Assert.Null(id);
    }

    [Fact]
    public void A_label_has_at_most_63_characters_and_a_name_253()
    {
        const string end = ".demo.serviceaccount.identity.mesh.example.org";
        Assert.True(LinkerdName.TryParse(new string('a', 63) + end, out _));
        Assert.False(LinkerdName.TryParse(new string('a', 64) + end, out _));
        var dots = string.Concat(Enumerable.Repeat("a.", (253 - end.Length) / 2)) + "a";
        Assert.True(LinkerdName.TryParse(dots[..(253 - end.Length)].TrimEnd('.') + end, out _));
        Assert.False(LinkerdName.TryParse(dots + "aa" + end, out _));
    }

    [Fact]
    public void An_id_of_no_service_account_or_of_another_domain_has_no_name()
    {
        var names = new LinkerdName(TrustDomain.Parse("example.org"), "mesh");
        Assert.Null(names.Of(SpiffeId.Parse("spiffe://example.org/web")));
        Assert.Null(names.Of(SpiffeId.Parse("spiffe://other.org/ns/demo/sa/web")));
    }
}
