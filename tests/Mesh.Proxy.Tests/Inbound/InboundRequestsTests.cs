using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Inbound;

/// <summary>What a client's requests can do to an application, and to other clients.</summary>
public sealed class InboundRequestsTests
{
    private readonly TestAuthority _authority = TestAuthority.CreateRoot(change: o => o with { NotBefore = DateTimeOffset.UtcNow.AddDays(-1) });

    [Fact]
    public async Task No_client_gets_a_tunnel_to_the_application()
    {
        await using var application = new EchoApplication();
        await using var proxy = await RunningProxy.ReceivingAsync(application.Address, _authority, InboundPolicy.AllUnauthenticated);
        var answer = await TestClient.TryAsync(proxy.Inbound, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nl5d-client-id: forged\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 421 ", answer, StringComparison.Ordinal);
        Assert.Equal(1, answer.Split("HTTP/1.1 ").Length - 1);
        await proxy.Log.NextAsync("method=CONNECT", "status=421", "reason=misdirected");
    }
}
