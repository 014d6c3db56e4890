using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>
/// One Kestrel listener with nothing around it that we did not ask for: no configuration files, no signal handling of its own,
/// our loggers. The gRPC port and the admin port are two of these, so that nothing mapped for one can be reached through the other.
/// </summary>
internal sealed class ListenerHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly WatchedListeners _listeners;
    private readonly OpenConnections _open;

    private ListenerHost(WebApplication app, WatchedListeners listeners, OpenConnections open)
    {
        _app = app;
        _listeners = listeners;
        _open = open;
    }

    /// <summary>Where it listens: the port is the real one when 0 was asked for.</summary>
    public IPEndPoint Address { get; private set; } = new(IPAddress.None, 0);

    /// <summary>Completes with the reason when the listener can accept no more.</summary>
    public Task<Exception> Failed => _listeners.Failed;

    /// <param name="setting">The name of the setting that <paramref name="address"/> comes from.</param>
    /// <exception cref="CannotListenException">The address cannot be had.</exception>
    public static async Task<ListenerHost> StartAsync(
        string setting, IPEndPoint address, Action<IServiceCollection> addServices, Action<KestrelServerOptions> configure, Action<ListenOptions> listen, Action<WebApplication> map, ILoggerFactory logs, CancellationToken ct)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.Services.Replace(ServiceDescriptor.Singleton(logs));
        builder.Services.Replace(ServiceDescriptor.Singleton<IHostLifetime, NoLifetime>());
        builder.Services.RemoveAll<IConnectionListenerFactory>();
        // Our handlers do not block, so a hop between threads at every pipe buys nothing; the sockets hand over to the thread pool already.
        builder.Services.Configure<SocketTransportOptions>(options => options.UnsafePreferInlineScheduling = true);
        builder.Services.AddSingleton(services => new WatchedListeners(new SocketTransportFactory(services.GetRequiredService<IOptions<SocketTransportOptions>>(), logs)));
        builder.Services.AddSingleton<IConnectionListenerFactory>(services => services.GetRequiredService<WatchedListeners>());
        // The drain has its own deadline; the host's must not cut in before it.
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromHours(1));
        addServices(builder.Services);
        var open = new OpenConnections();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            configure(kestrel);
            kestrel.Listen(address, options =>
            {
                listen(options);
                open.Count(options);
            });
        });
        var app = builder.Build();
        var host = new ListenerHost(app, app.Services.GetRequiredService<WatchedListeners>(), open);
        try
        {
            map(app);
            await app.StartAsync(ct);
            var bound = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
            host.Address = new IPEndPoint(IPAddress.Parse(bound.Host), bound.Port);
            return host;
        }
        catch (Exception refused) when (refused is IOException or SocketException)
        {
            await host.DisposeAsync();
            throw new CannotListenException(setting, address, refused);
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops accepting, lets calls under way end within <paramref name="grace"/>, then cuts them.</summary>
    /// <returns>How many connections were cut, each with calls whose last byte had not left: an idle one is closed at once.</returns>
    public async Task<int> StopAsync(TimeSpan grace, TimeProvider time)
    {
        var cut = 0;
        using var cutting = new CancellationTokenSource();
        using var deadline = new CancellationTokenSource(grace, time);
        // Counted first: Kestrel ends the connections as soon as its token fires.
        await using var registration = deadline.Token.Register(() =>
        {
            cut = _open.Now;
            cutting.Cancel();
        });
        await _app.StopAsync(cutting.Token);
        return cut;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>Counted, not calls: for Kestrel a call has ended when its end is queued, also behind what the peer does not read.</summary>
    private sealed class OpenConnections
    {
        private int _now;

        public int Now => Volatile.Read(ref _now);

        /// <summary>Goes last in the connection's middleware: a handshake is no call.</summary>
        public void Count(ListenOptions listen) => listen.Use(next => async connection =>
        {
            Interlocked.Increment(ref _now);
            try
            {
                await next(connection);
            }
            finally
            {
                Interlocked.Decrement(ref _now);
            }
        });
    }

    /// <summary>Signals are the process's affair, not the listener's.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
