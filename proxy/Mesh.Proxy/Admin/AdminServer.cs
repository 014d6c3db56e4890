using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Proxy.Logging;

namespace Mesh.Proxy.Admin;

/// <summary>What the proxy says of itself to a readiness probe.</summary>
internal readonly record struct Readiness(bool IsReady, string Sentence);

/// <summary>
/// The admin endpoint: HTTP/1.1, one request for each connection, on the thread pool, away from the data path, so that a slow reader of
/// metrics costs no traffic. Everything a client controls is bounded: size and time of the request head, time of the answer, connections.
/// When all places are taken, the client that has been thinking longest loses its own, so that slow clients cannot keep a probe out.
/// </summary>
internal sealed partial class AdminServer : IDisposable
{
    internal const int MaxConnections = 64;
    private const int MaxHead = 8 * 1024;
    private static readonly TimeSpan HeadTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(15);

    // What is left for answers that have begun when we stop.
    private static readonly TimeSpan LastAnswerTimeout = TimeSpan.FromSeconds(1);

    private readonly AdminPages _pages;
    private readonly TimeProvider _time;
    private readonly LineLog _log;
    private readonly Socket _listener;
    private readonly Lock _lock = new();
    private readonly LinkedList<Client> _clients = [];
    private readonly LineLimit _acceptTrouble;

    private AdminServer(Socket listener, AdminPages pages, TimeProvider time, LineLog log) =>
        (_listener, _pages, _time, _log, _acceptTrouble) = (listener, pages, time, log, new LineLimit(burst: 1, TimeSpan.FromSeconds(10), time));

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <exception cref="SocketException">The address cannot be bound.</exception>
    public static AdminServer Bind(IPEndPoint address, AdminPages pages, TimeProvider time, LineLog log)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(address);
            listener.Listen(128);
            return new AdminServer(listener, pages, time, log);
        }
        catch (SocketException)
        {
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Serves until stopped. Every client is answered or cut before it returns.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var serving = new List<Task>();
        while (!stop.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptAsync(stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                break;
            }
            catch (SocketException fault)
            {
                // Out of descriptors, or the client gave up in the queue: neither may end the endpoint that reports it.
                if (_acceptTrouble.Admit(out _)) Log.AcceptFailed(_log, fault.SocketErrorCode);
                await Task.Delay(TimeSpan.FromMilliseconds(50), _time, CancellationToken.None);
                continue;
            }

            serving.RemoveAll(t => t.IsCompleted);
            serving.Add(ServeAsync(socket, stop));
        }

        await Task.WhenAll(serving);
    }

    public void Dispose() => _listener.Dispose();

    private async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        await Task.Yield();
        using var deadline = new CancellationTokenSource(HeadTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stop);
        using var client = new Client(socket);
        Admit(client);
        try
        {
            var (request, status) = await ReadHeadAsync(socket, either.Token);
            client.Answering = true;
            deadline.CancelAfter(AnswerTimeout);
            // Whoever has just asked us to stop is owed an answer.
            using var stopping = stop.Register(() => deadline.CancelAfter(LastAnswerTimeout));
            var answer = request is null
                ? AdminAnswer.Of(status)
                : await _pages.AnswerAsync(request, ((IPEndPoint)socket.RemoteEndPoint!).Address, deadline.Token);
            // A stream has no end of its own: it ends with us.
            if (answer.Lines is { } lines) await StreamAsync(socket, answer, lines, deadline, either.Token);
            else await SendAsync(socket, answer, request?.Method == "HEAD", deadline.Token);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            // Too slow, or we stop: the connection is simply closed.
        }
        catch (Exception fault) when (fault is SocketException or ObjectDisposedException)
        {
            // The client went away, or lost its place.
        }
        finally
        {
            Leave(client);
        }
    }

    private void Admit(Client client)
    {
        lock (_lock)
        {
            _clients.AddLast(client);
            if (_clients.Count <= MaxConnections) return;
            var slowest = _clients.First(c => !c.Answering || c == client);
            _clients.Remove(slowest);
            slowest.Dispose();
        }
    }

    // A method of its own: of a lock inside an asynchronous method's finally the trimmer removes the release.
    private void Leave(Client client)
    {
        lock (_lock) _clients.Remove(client);
    }

    private static async Task<(AdminRequest? Request, int Status)> ReadHeadAsync(Socket socket, CancellationToken ct)
    {
        var head = new byte[MaxHead];
        var length = 0;
        while (true)
        {
            var read = await socket.ReceiveAsync(head.AsMemory(length), ct);
            if (read == 0) return (null, 400);
            length += read;
            var end = head.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (end >= 0) return AdminRequest.TryParse(head.AsSpan(0, end), out var request) ? (request, 200) : (null, 400);
            if (length == MaxHead) return (null, 431);
        }
    }

    private static async Task SendAsync(Socket socket, AdminAnswer answer, bool headOnly, CancellationToken ct)
    {
        var body = Encoding.UTF8.GetBytes(answer.Body);
        var head = Encoding.ASCII.GetBytes(
            $"HTTP/1.1 {answer.Status} {answer.Phrase}\r\nContent-Type: {answer.ContentType}\r\nContent-Length: {body.Length}\r\n" +
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
        byte[] all = headOnly ? head : [.. head, .. body];
        await SendAllAsync(socket, all, ct);
        socket.Shutdown(SocketShutdown.Send);
        // Closing with unread bytes of the client in the buffer would reset the connection and could lose the answer.
        var rest = new byte[1024];
        for (var drained = 0; drained < MaxHead;)
        {
            var read = await socket.ReceiveAsync(rest, ct);
            if (read == 0) return;
            drained += read;
        }
    }

    /// <summary>Sends lines as they come, until the client leaves, or takes one too slowly, or we stop.</summary>
    private static async Task StreamAsync(
        Socket socket, AdminAnswer answer, Func<CancellationToken, IAsyncEnumerable<string>> lines, CancellationTokenSource deadline, CancellationToken ct)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var leaving = EndWhenLeftAsync(socket, over);
        try
        {
            await SendAllAsync(socket, Encoding.ASCII.GetBytes(
                $"HTTP/1.1 {answer.Status} {answer.Phrase}\r\nContent-Type: {answer.ContentType}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"), over.Token);
            deadline.CancelAfter(Timeout.InfiniteTimeSpan);
            await foreach (var line in lines(over.Token))
            {
                deadline.CancelAfter(AnswerTimeout);
                await SendAllAsync(socket, Encoding.UTF8.GetBytes(line + "\n"), over.Token);
                deadline.CancelAfter(Timeout.InfiniteTimeSpan);
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            // The client has what it wanted.
        }
        finally
        {
            await over.CancelAsync();
            await leaving;
        }
    }

    // A client that only reads is not heard of again until it closes.
    private static async Task EndWhenLeftAsync(Socket socket, CancellationTokenSource over)
    {
        try
        {
            var rest = new byte[256];
            while (await socket.ReceiveAsync(rest, over.Token) > 0)
            {
            }

            await over.CancelAsync();
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            await over.CancelAsync();
        }
    }

    private static async Task SendAllAsync(Socket socket, byte[] all, CancellationToken ct)
    {
        for (var sent = 0; sent < all.Length;) sent += await socket.SendAsync(all.AsMemory(sent), ct);
    }

    private sealed class Client(Socket socket) : IDisposable
    {
        public volatile bool Answering;

        public void Dispose() => socket.Dispose();
    }
}
