using Mesh.Protocol.Destination;
using Mesh.Proxy.Control;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Control;
using Mesh.Spiffe;
using Mesh.Testing;
using static Mesh.Proxy.Tests.Discovery.Messages;

namespace Mesh.Proxy.Tests.Discovery;

public sealed class UnusedWatchTests : IAsyncDisposable
{
    private static readonly HostPort Web = HostPort.Parse("web.demo.svc.cluster.local:80");
    private static readonly TimeSpan Patience = FakeControlPlane.Patience;

    private readonly ManualTime _time = new(DateTimeOffset.UtcNow);
    private readonly FakeControlPlane _service = new();
    private readonly CancellationTokenSource _stop = new();
    private ControlChannel? _channel;
    private Task _running = Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _channel?.Dispose();
        await _service.DisposeAsync();
        _stop.Dispose();
    }

    [Fact]
    public async Task What_nobody_asks_for_any_more_is_no_longer_followed()
    {
        (ServiceDirectory directory, DiscoverySession<Update> stream) = await ResolvedAsync();
        var closed = new TaskCompletionSource();
        await using CancellationTokenRegistration registration = stream.Gone.Register(() => closed.TrySetResult());
        _time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal(1, directory.Watches);
        _time.Advance(TimeSpan.FromMinutes(2));
        await closed.Task.WaitAsync(Patience);
        Assert.Equal(0, directory.Watches);
    }

    [Fact]
    public async Task What_is_known_is_kept_while_discovery_is_away_however_long_nobody_asks()
    {
        (ServiceDirectory directory, _) = await ResolvedAsync();
        var away = new TaskCompletionSource();
        directory.ReachableChanged += (_, _) => away.TrySetResult();
        await _service.StopAsync();
        // Attempts are spaced by the clock that this test moves.
        while (!away.Task.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        for (int i = 0; i < 30; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(1));
            await Task.Yield();
        }

        Resolution resolution = await directory.ResolveAsync(Web, TimeSpan.Zero, CancellationToken.None);
        Assert.Equal((ResolutionKind.Found, true), (resolution.Kind, resolution.Stale));
    }

    private async Task<(ServiceDirectory Directory, DiscoverySession<Update> Stream)> ResolvedAsync()
    {
        await _service.StartAsync();
        X509Svid svid = _service.Authority.CreateSvid(Id);
        _channel = new ControlChannel(_service.Address, FakeControlPlane.ServiceId, "identity", () => svid, _service.Authority.Bundles, _time);
        var directory = new ServiceDirectory(_channel, "", "mesh", () => true, _time, Random.Shared);
        _running = directory.RunAsync(_stop.Token);
        ValueTask<Resolution> asking = directory.ResolveAsync(Web, TimeSpan.FromHours(1), CancellationToken.None);
        DiscoverySession<Update> stream = await _service.NextGetAsync();
        await stream.PushAsync(Add("10.0.0.1:80"));
        await asking;
        return (directory, stream);
    }
}
