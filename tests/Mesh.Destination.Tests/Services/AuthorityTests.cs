using Mesh.Destination.Services;

namespace Mesh.Destination.Tests.Services;

public sealed class AuthorityTests
{
    [Theory]
    [InlineData("web.demo.svc.cluster.local:8080", "web.demo.svc.cluster.local:8080")]
    [InlineData("web.demo.svc.cluster.local", "web.demo.svc.cluster.local:80")]
    [InlineData("Web.Demo.svc.cluster.local.:80", "web.demo.svc.cluster.local:80")]
    [InlineData("10.0.0.1:80", "10.0.0.1:80")]
    [InlineData("[::1]:80", "[::1]:80")]
    [InlineData("[::1]", "[::1]:80")]
    [InlineData("a_b.c-d:1", "a_b.c-d:1")]
    public void Reads_what_Linkerd_clients_send(string text, string expected)
    {
        Assert.True(Authority.TryParse(text, out var authority));
        Assert.Equal(expected, authority.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(":80")]
    [InlineData("web:0")]
    [InlineData("web:65536")]
    [InlineData("web:-1")]
    [InlineData("web:")]
    [InlineData("web: 80")]
    [InlineData("we b:80")]
    [InlineData("web..demo:80")]
    [InlineData("-web:80")]
    [InlineData("::1:80")]
    [InlineData("[1.2.3.4]:80")]
    [InlineData("1.2.3.256:80")]
    [InlineData("web/path:80")]
    [InlineData("w\u00e9b:80")]
    [InlineData("web\0:80")]
    public void Refuses_what_is_no_authority(string? text) => Assert.False(Authority.TryParse(text, out _));

    [Fact]
    public void A_label_has_at_most_63_characters_and_a_name_253()
    {
        Assert.True(Authority.TryParse(new string('a', 63) + ".b:1", out _));
        Assert.False(Authority.TryParse(new string('a', 64) + ".b:1", out _));
        Assert.False(Authority.TryParse(string.Join('.', Enumerable.Repeat(new string('a', 60), 5)) + ":1", out _));
    }

    [Fact]
    public void Random_text_never_throws()
    {
        var random = new Random(7);
        var alphabet = "ab.:[]-_0123456789\0\u00ff %".ToCharArray();
        for (var i = 0; i < 20_000; i++)
        {
            var text = new string(random.GetItems(alphabet, random.Next(0, 40)));
            if (Authority.TryParse(text, out var authority))
            {
                Assert.True(Authority.TryParse(authority.ToString(), out var again));
                Assert.Equal(authority.ToString(), again.ToString());
            }
        }
    }
}
