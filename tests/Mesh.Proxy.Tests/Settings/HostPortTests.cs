using System.Net;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Tests.Settings;

public sealed class HostPortTests
{
    [Theory]
    [InlineData("web.demo.svc.cluster.local:80", "web.demo.svc.cluster.local", 80)]
    [InlineData("Linkerd-Identity.mesh.svc.cluster.local.:8080", "linkerd-identity.mesh.svc.cluster.local", 8080)] // absolute names end in a dot
    [InlineData("localhost:1", "localhost", 1)]
    [InlineData("10.0.0.1:65535", "10.0.0.1", 65535)]
    [InlineData("[::1]:8080", "::1", 8080)]
    [InlineData("1e100.net:443", "1e100.net", 443)]
    [InlineData("my_svc.demo:80", "my_svc.demo", 80)]
    public void Accepts(string text, string host, int port)
    {
        Assert.True(HostPort.TryParse(text, out var value));
        Assert.Equal((host, port), (value.Host, value.Port));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("web")]
    [InlineData(":80")]
    [InlineData("web:")]
    [InlineData("web:0")]
    [InlineData("web:65536")]
    [InlineData("web:+80")]
    [InlineData("web: 80")]
    [InlineData("web:8 0")]
    [InlineData("we b:80")]
    [InlineData("10.0.0.256:80")]
    [InlineData("10.0.1:80")] // not read as 10.0.0.1
    [InlineData("::1:80")] // brackets missing
    [InlineData("[10.0.0.1]:80")]
    [InlineData("[::1:80")]
    [InlineData("-web:80")]
    [InlineData("a..b:80")]
    [InlineData(".:80")]
    [InlineData("http://web:80")]
    public void Rejects(string? text) => Assert.False(HostPort.TryParse(text, out _));

    [Theory]
    [InlineData("[::1]:8080")]
    [InlineData("web.demo:80")]
    [InlineData("10.0.0.1:80")]
    public void Prints_as_it_is_read(string text) => Assert.Equal(text, HostPort.Parse(text).ToString());

    [Fact]
    public void A_mapped_address_is_the_address_it_maps() =>
        Assert.Equal("10.0.0.1:80", HostPort.From(new IPEndPoint(IPAddress.Parse("::ffff:10.0.0.1"), 80)).ToString());
}
