using System.Text;
using Mesh.Destination.Services;

namespace Mesh.Destination.Tests.Services;

public sealed class ServiceFileTests
{
    private const string Good = """
        { "services": [ { "authority": "web.demo.svc.cluster.local:80", "endpoints": [
            { "address": "127.0.0.1:8080", "identity": "spiffe://example.org/ns/demo/sa/web", "serverName": "web.demo", "inboundPort": 4143, "weight": 5, "labels": { "pod": "web-0" } },
            { "address": "[::1]:8081" } ] } ] }
        """;

    [Fact]
    public void Reads_services_endpoints_and_identities()
    {
        var table = ServiceFile.Parse(Good, out var faults);
        Assert.Empty(faults);
        Assert.True(Authority.TryParse("web.demo.svc.cluster.local:80", out var authority));
        var service = table!.Find(authority)!;
        var meshed = service.Endpoints.Single(e => e.Address.Port == 8080);
        Assert.Equal("spiffe://example.org/ns/demo/sa/web", meshed.Identity!.ToString());
        Assert.Equal("web.demo", meshed.ServerName);
        Assert.Equal(4143, meshed.InboundPort);
        Assert.Equal(5u, meshed.Weight);
        Assert.Equal("web-0", meshed.Labels["pod"]);
        var plain = service.Endpoints.Single(e => e.Address.Port == 8081);
        Assert.Null(plain.Identity);
        Assert.Equal(10_000u, plain.Weight);
    }

    [Fact]
    public void Lists_every_fault_with_its_place()
    {
        const string bad = """
            { "services": [
              { "authority": "not an authority", "endpoints": [ { "address": "nowhere" } ] },
              { "authority": "a:1", "endpoints": [ { "address": "1.2.3.4:5", "identity": "spiffe://Example.org/x" } ], "colour": "red" },
              { "authority": "b:1", "endpoints": [ { "address": "1.2.3.4:5", "identity": "spiffe://example.org/x", "inboundPort": 70000 } ] } ] }
            """;
        Assert.Null(ServiceFile.Parse(bad, out var faults));
        Assert.Contains(faults, f => f.StartsWith("services[0].authority:", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.StartsWith("services[0].endpoints[0].address:", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.StartsWith("services[1].endpoints[0].identity:", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.StartsWith("services[1].colour:", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.StartsWith("services[2].endpoints[0].serverName:", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.StartsWith("services[2].endpoints[0].inboundPort:", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"services\": 5}")]
    [InlineData("{\"services\": [], \"services\": []}")]
    [InlineData("{\"services\": [{\"authority\": \"127.0.0.1:80\"}]}")]
    [InlineData("{\"services\": [{\"authority\": \"a:1\"},{\"authority\": \"a:1\"}]}")]
    [InlineData("{\"services\": [{\"authority\": \"a:1\",\"endpoints\":[{\"address\":\"1.1.1.1:1\"},{\"address\":\"1.1.1.1:1\"}]}]}")]
    [InlineData("{\"services\": [{\"authority\": \"a:1\",\"endpoints\":[{\"address\":\"1.1.1.1:0\"}]}]}")]
    [InlineData("{\"services\": [{\"authority\": \"a:1\",\"endpoints\":[{\"address\":\"1.1.1.1:1\",\"identity\":\"spiffe://td\",\"serverName\":\"x\"}]}]}")]
    public void Refuses_a_file_that_is_wrong_in_any_place(string json)
    {
        Assert.Null(ServiceFile.Parse(json, out var faults));
        Assert.NotEmpty(faults);
    }

    [Fact]
    public void Truncated_and_flipped_files_never_throw()
    {
        var bytes = Encoding.UTF8.GetBytes(Good);
        var random = new Random(11);
        for (var i = 0; i < bytes.Length; i++) Try(Encoding.UTF8.GetString(bytes, 0, i));
        for (var i = 0; i < 5_000; i++)
        {
            var flipped = (byte[])bytes.Clone();
            flipped[random.Next(flipped.Length)] ^= (byte)(1 << random.Next(8));
            Try(Encoding.UTF8.GetString(flipped));
        }

        static void Try(string json) => Assert.True(ServiceFile.Parse(json, out var faults) is not null || faults.Length > 0);
    }
}
