using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mesh.Cli.Tests.Stat;

/// <summary>The admin port of a proxy, which answers as a test tells it to. Each connection is one request, as with a proxy.</summary>
internal sealed class AdminPort : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Func<string, NetworkStream, Task> _answer;

    /// <param name="answer">Gets the target of the request and where to write.</param>
    public AdminPort(Func<string, NetworkStream, Task> answer)
    {
        _answer = answer;
        _listener.Start();
        Serving = ServeAsync();
    }

    public string Address => _listener.LocalEndpoint.ToString()!;

    public Task Serving { get; }

    /// <summary>Serves these pages, one after the other, the last one from then on.</summary>
    public static AdminPort Of(params string[] pages)
    {
        var next = 0;
        return new AdminPort((_, stream) => WriteAsync(stream, "200 OK", pages[Math.Min(next++, pages.Length - 1)]));
    }

    public static async Task WriteAsync(NetworkStream stream, string status, string body) =>
        await stream.WriteAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}"));

    public void Dispose() => _listener.Dispose();

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                using var client = await _listener.AcceptTcpClientAsync();
                var stream = client.GetStream();
                using var reader = new StreamReader(stream, leaveOpen: true);
                var target = (await reader.ReadLineAsync())!.Split(' ')[1];
                while (await reader.ReadLineAsync() is { Length: > 0 })
                {
                }

                await _answer(target, stream);
            }
            catch (IOException)
            {
                // The command has left.
            }
            catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
