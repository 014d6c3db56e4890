using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>A real web server that knows nothing of proxies and TLS, in either version of HTTP.</summary>
internal sealed class WebApplicationUnderTest : IAsyncDisposable
{
    private readonly WebApplication _application;

    private WebApplicationUnderTest(WebApplication application, IPEndPoint address) => (_application, Address) = (application, address);

    public IPEndPoint Address { get; }

    /// <param name="protocols">The version it speaks.</param>
    /// <param name="handle">What it does with requests; null: what their path says.</param>
    public static async Task<WebApplicationUnderTest> StartAsync(HttpProtocols protocols, RequestDelegate? handle = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = protocols);
        });
        var application = builder.Build();
        application.Run(handle ?? HandleAsync);
        await application.StartAsync();
        return new WebApplicationUnderTest(application, IPEndPoint.Parse(new Uri(application.Urls.First()).Authority));
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private static async Task HandleAsync(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        switch (request.Path.Value)
        {
            case "/head":
                // What arrived, line by line.
                var text = new StringBuilder().Append(request.Protocol).Append(' ').Append(request.Method).Append(' ').Append(request.Host).Append(request.Path).Append(request.QueryString).Append('\n');
                foreach (var (name, value) in request.Headers.OrderBy(h => h.Key, StringComparer.Ordinal)) text.Append(name.ToLowerInvariant()).Append(": ").Append(value).Append('\n');
                await response.WriteAsync(text.ToString());
                break;
            case "/echo":
                // Read first: clients that do not read while they send would wait for ever for a server that does not read while it sends.
                using (var all = new MemoryStream())
                {
                    await request.Body.CopyToAsync(all);
                    response.ContentLength = request.ContentLength;
                    await response.Body.WriteAsync(all.GetBuffer().AsMemory(0, (int)all.Length));
                }

                break;
            case "/trailers":
                await request.Body.CopyToAsync(Stream.Null);
                response.DeclareTrailer("x-sum");
                await response.WriteAsync("body");
                response.AppendTrailer("x-sum", "42");
                break;
            case "/bytes":
                var left = long.Parse(request.Query["n"]!, System.Globalization.CultureInfo.InvariantCulture);
                var block = new byte[64 * 1024];
                if (request.Query.ContainsKey("length")) response.ContentLength = left;
                for (; left > 0; left -= Math.Min(left, block.Length)) await response.Body.WriteAsync(block.AsMemory(0, (int)Math.Min(left, block.Length)));
                break;
            case "/status":
                response.StatusCode = int.Parse(request.Query["code"]!, System.Globalization.CultureInfo.InvariantCulture);
                break;
            case "/abort":
                await response.WriteAsync("part");
                await response.Body.FlushAsync();
                context.Abort();
                break;
            case "/upgrade":
                response.Headers.Upgrade = "echo";
                var upgraded = await context.Features.Get<IHttpUpgradeFeature>()!.UpgradeAsync();
                await upgraded.CopyToAsync(upgraded);
                break;
        }
    }
}
