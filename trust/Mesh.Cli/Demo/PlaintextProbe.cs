using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mesh.Cli.Demo;

/// <summary>Does what an intruder without a certificate would: speaks plain HTTP straight to a meshed port.</summary>
internal static class PlaintextProbe
{
    /// <summary>True when the port accepted the connection and then gave no answer before closing it; false when it answered.</summary>
    public static async Task<bool> IsRefusedAsync(IPEndPoint port, TimeProvider time, CancellationToken ct)
    {
        using var socket = new Socket(port.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(15), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, ct);
        await socket.ConnectAsync(port, both.Token);
        var answer = new byte[1024];
        try
        {
            await socket.SendAsync("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"u8.ToArray(), SocketFlags.None, both.Token);
            var n = await socket.ReceiveAsync(answer, SocketFlags.None, both.Token);
            // A proxy that speaks HTTP may say 403 itself; what counts is that the application's answer does not come.
            return n == 0 || !Encoding.ASCII.GetString(answer, 0, n).Contains(" 200 ", StringComparison.Ordinal);
        }
        catch (SocketException)
        {
            return true;
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            // Neither an answer nor a close: that is no refusal we could show.
            return false;
        }
    }
}
