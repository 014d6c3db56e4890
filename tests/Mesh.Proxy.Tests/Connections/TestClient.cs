using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mesh.Proxy.Tests.Connections;

/// <summary>A plain TCP client with a limit on every wait.</summary>
internal sealed class TestClient : IDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    internal TestClient(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    public static async Task<TestClient> ConnectAsync(IPEndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(address).WaitAsync(Limit);
        return new TestClient(socket);
    }

    /// <summary>Connects, says <paramref name="text"/>, and reads to the end, or <paramref name="read"/> bytes: "reset" is what somebody sees who is refused, at whichever of these steps.</summary>
    public static async Task<string> TryAsync(IPEndPoint address, string text = "", int? read = null)
    {
        try
        {
            using var client = await ConnectAsync(address);
            await client.SendAsync(text);
            return read is { } length ? await client.ReadAsync(length) : await client.ReadToEndAsync();
        }
        catch (SocketException fault) when (fault.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            return "reset";
        }
    }

    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await Socket.SendAsync(bytes).AsTask().WaitAsync(Limit)..];
    }

    public async Task<string> ReadAsync(int length)
    {
        var buffer = new byte[length];
        for (var read = 0; read < length;)
        {
            var got = await Socket.ReceiveAsync(buffer.AsMemory(read)).AsTask().WaitAsync(Limit);
            if (got == 0) throw new EndOfStreamException($"after {read} of {length} bytes");
            read += got;
        }

        return Encoding.Latin1.GetString(buffer);
    }

    /// <summary>Reads up to and with <paramref name="mark"/>, and nothing behind it.</summary>
    public async Task<string> ReadUntilAsync(string mark)
    {
        var text = new StringBuilder();
        while (!text.ToString().EndsWith(mark, StringComparison.Ordinal)) text.Append(await ReadAsync(1));
        return text.ToString();
    }

    public async Task<string> EchoAsync(string text)
    {
        await SendAsync(text);
        return await ReadAsync(text.Length);
    }

    /// <summary>Everything up to the end; "reset" behind it when that is how it ended.</summary>
    public async Task<string> ReadToEndAsync()
    {
        var all = new StringBuilder();
        var buffer = new byte[64 * 1024];
        try
        {
            while (await Socket.ReceiveAsync(buffer.AsMemory()).AsTask().WaitAsync(Limit) is var read and > 0) all.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
        catch (SocketException fault) when (fault.SocketErrorCode == SocketError.ConnectionReset)
        {
            all.Append("reset");
        }

        return all.ToString();
    }

    public void Finish() => Socket.Shutdown(SocketShutdown.Send);

    public void Dispose() => Socket.Dispose();
}
