using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tests.Tokens;

/// <summary>A web server on loopback that publishes what a test tells it to.</summary>
internal sealed class KeyHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _requests;

    private KeyHost(WebApplication app) => _app = app;

    internal Uri Address { get; private set; } = null!;

    internal int Requests => _requests;

    /// <summary>Answers every request.</summary>
    internal RequestDelegate Answer { get; set; } = _ => Task.CompletedTask;

    internal static async Task<KeyHost> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var host = new KeyHost(builder.Build());
        host._app.Run(context =>
        {
            Interlocked.Increment(ref host._requests);
            return host.Answer(context);
        });
        await host._app.StartAsync();
        host.Address = new Uri(host._app.Urls.Single());
        return host;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
