using System.Collections.Concurrent;
using Grpc.AspNetCore.Server;
using Grpc.Net.Client;
using Mesh.Testing.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Grpc.Tests.Server;

/// <summary>A real server on a loopback port, with the probe service.</summary>
internal sealed class ProbeServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly RecordingLogger _log = new();

    private ProbeServer(Action<GrpcServiceOptions>? configure, Action<WebApplication>? map, Action<WebApplicationBuilder>? build, HttpProtocols protocols, int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(_log).SetMinimumLevel(LogLevel.Debug);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, port, listen => listen.Protocols = protocols));
        builder.Services.AddGrpc(configure);
        builder.Services.AddSingleton(Service);
        build?.Invoke(builder);
        _app = builder.Build();
        // Middleware first.
        map?.Invoke(_app);
        _app.MapGrpcService<ProbeService>();
    }

    public ProbeService Service { get; } = new();

    public Uri Address { get; private set; } = null!;

    public IServiceProvider Services => _app.Services;

    /// <summary>Messages at Error or above, from any part of the server.</summary>
    public IEnumerable<string> Errors => _log.Errors;

    public static async Task<ProbeServer> StartAsync(Action<GrpcServiceOptions>? configure = null, Action<WebApplication>? map = null, Action<WebApplicationBuilder>? build = null, HttpProtocols protocols = HttpProtocols.Http2, int port = 0)
    {
        var server = new ProbeServer(configure, map, build, protocols, port);
        await server._app.StartAsync();
        server.Address = new Uri(server._app.Urls.First());
        return server;
    }

    public GrpcChannel Channel(Action<GrpcChannelOptions>? configure = null)
    {
        var options = new GrpcChannelOptions();
        configure?.Invoke(options);
        return GrpcChannel.ForAddress(Address, options);
    }

    public Probe.ProbeClient Client(Action<GrpcChannelOptions>? configure = null) => new(Channel(configure));

    /// <summary>Stops as on SIGTERM: returns when the calls in progress have ended.</summary>
    public Task StopAsync() => _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        Service.Release.TrySetResult();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(patience.Token);
        await _app.DisposeAsync();
    }

    private sealed class RecordingLogger : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Errors { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Error) Errors.Enqueue($"{eventId.Name}: {formatter(state, exception)} {exception}");
        }

        public void Dispose() { }
    }
}
