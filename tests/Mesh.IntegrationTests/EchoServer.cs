using System.Net;
using System.Net.Sockets;

namespace Mesh.IntegrationTests;

/// <summary>An application that answers with what it is sent, to any number of clients at once, until it is disposed.</summary>
internal sealed class EchoServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    public EchoServer()
    {
        _listener.Start(512);
        _serving = ServeAsync();
    }

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndpoint;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        var clients = new List<Task>();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptSocketAsync(_stop.Token);
                clients.RemoveAll(c => c.IsCompleted);
                clients.Add(EchoAsync(client, _stop.Token));
            }
            catch (Exception gone) when (gone is OperationCanceledException or SocketException)
            {
                // Stopped, or a client that left while it waited to be accepted.
            }
        }

        await Task.WhenAll(clients);
    }

    private static async Task EchoAsync(Socket client, CancellationToken stop)
    {
        using (client)
        {
            var buffer = new byte[16 * 1024];
            try
            {
                int n;
                while ((n = await client.ReceiveAsync(buffer, stop)) > 0)
                    for (var sent = 0; sent < n;) sent += await client.SendAsync(buffer.AsMemory(sent, n - sent), stop);
            }
            catch (Exception gone) when (gone is OperationCanceledException or SocketException)
            {
                // The client went away, or the test is over.
            }
        }
    }
}
