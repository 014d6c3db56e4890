using System.Net.Sockets;
using Mesh.Proxy.Tests.Connections;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>The framework's HTTP client, whose every connection is made to a proxy.</summary>
internal static class ClientOf
{
    public static HttpClient Proxy(RunningProxy proxy, int version = 1) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        ConnectCallback = async (_, _) => new NetworkStream((await TestClient.ConnectAsync(proxy.Outbound)).Socket, ownsSocket: true),
    })
    {
        BaseAddress = new Uri("http://web.demo/"),
        Timeout = TestClient.Limit,
        DefaultRequestVersion = version == 1 ? System.Net.HttpVersion.Version11 : System.Net.HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };
}
