using System.Net;
using System.Net.Sockets;

namespace Mesh.IntegrationTests.Hostile;

/// <summary>What a client of the mesh sees: bytes back on a connection that stays, and on a new one each time.</summary>
internal sealed class Traffic(IPEndPoint address)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    public int Passed { get; private set; }

    public List<string> Failures { get; } = [];

    /// <summary>Until it is stopped. A failure of either kind of connection is counted and the next one tried.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        Socket? staying = null;
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        try
        {
            while (await tick.WaitForNextTickAsync(stop))
            {
                if (!await TryAsync("open connection", async ct => await EchoAsync(staying ??= await DialAsync(ct), ct)))
                {
                    staying?.Dispose();
                    staying = null;
                }

                await OnceAsync();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Enough.
        }
        finally
        {
            staying?.Dispose();
        }
    }

    /// <summary>One new connection.</summary>
    public Task<bool> OnceAsync() => TryAsync("new connection", async ct =>
    {
        using var socket = await DialAsync(ct);
        await EchoAsync(socket, ct);
    });

    private async Task<bool> TryAsync(string what, Func<CancellationToken, Task> exchange)
    {
        using var deadline = new CancellationTokenSource(Limit);
        try
        {
            await exchange(deadline.Token);
            Passed++;
            return true;
        }
        catch (Exception failure) when (failure is SocketException or OperationCanceledException or InvalidDataException)
        {
            Failures.Add($"{DateTime.UtcNow:HH:mm:ss.fff} {what}: {failure.Message}");
            return false;
        }
    }

    private async Task<Socket> DialAsync(CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address, ct);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task EchoAsync(Socket socket, CancellationToken ct)
    {
        var asked = Guid.NewGuid().ToByteArray();
        await socket.SendAsync(asked, ct);
        var answer = new byte[asked.Length];
        for (var have = 0; have < answer.Length;)
        {
            var n = await socket.ReceiveAsync(answer.AsMemory(have), ct);
            if (n == 0) throw new InvalidDataException("closed without an answer");
            have += n;
        }

        if (!answer.AsSpan().SequenceEqual(asked)) throw new InvalidDataException("other bytes than were sent");
    }
}
