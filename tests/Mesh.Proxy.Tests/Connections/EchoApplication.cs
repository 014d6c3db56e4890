using System.Net;
using System.Net.Sockets;

namespace Mesh.Proxy.Tests.Connections;

/// <summary>A server that knows nothing of TLS: sends back what it gets, and when the client is done says how much that was and closes.</summary>
internal sealed class EchoApplication : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private int _connections;

    public EchoApplication(IPAddress? address = null)
    {
        _listener.Bind(new IPEndPoint(address ?? IPAddress.Loopback, 0));
        _listener.Listen(128);
        Address = (IPEndPoint)_listener.LocalEndPoint!;
        _running = RunAsync();
    }

    public IPEndPoint Address { get; }

    /// <summary>Connections accepted so far.</summary>
    public int Connections => Volatile.Read(ref _connections);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _running;
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var serving = new List<Task>();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptAsync(_stop.Token);
                Interlocked.Increment(ref _connections);
                serving.Add(EchoAsync(client));
            }
            catch (Exception fault) when (fault is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                break;
            }
        }

        await Task.WhenAll(serving);
    }

    private async Task EchoAsync(Socket client)
    {
        using var owned = client;
        var buffer = new byte[64 * 1024];
        long total = 0;
        try
        {
            while (await client.ReceiveAsync(buffer, _stop.Token) is var read and > 0)
            {
                total += read;
                for (var sent = 0; sent < read;) sent += await client.SendAsync(buffer.AsMemory(sent, read - sent), _stop.Token);
            }

            await client.SendAsync(System.Text.Encoding.ASCII.GetBytes($"[{total} bytes]"), _stop.Token);
            client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception fault) when (fault is OperationCanceledException or SocketException)
        {
            // The client went away: this is a test of proxies, not of this server.
        }
    }
}
