using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;

namespace Mesh.IntegrationTests.Hostile;

/// <summary>The ways in which bytes can be wrong. The first ones come over TCP, the rest inside TLS.</summary>
internal enum AttackKind
{
    RandomBytes,
    TruncatedHello,
    MutatedHello,
    OversizedHello,
    NoHelloFirst,
    GarbageAfterHello,
    GarbageAfterServerHello,
    EndlessHttp1,
    MutatedHttp1,
    Http2InPlaintext,
    MutatedCall,
    AnyFrames,
    FrameFlood,
    WrongMessage,
    MutatedTransportHeader,
    GarbageInTls,
}

/// <summary>One listener of the mesh under attack.</summary>
/// <param name="Server">How a TLS client would have to see it; null when it speaks none of its own.</param>
internal sealed record Target(string Name, IPEndPoint Address, Func<SslClientAuthenticationOptions[]>? Server);

/// <summary>One connection of an attacker. Everything about it follows from its number.</summary>
internal sealed class Attack(int number, Target target, AttackKind kind, byte[][] hellos, int applicationPort)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private static readonly string[] Paths =
    [
        "/io.linkerd.proxy.identity.Identity/Certify", "/mesh.trust.v1.Trust/StreamBundles", "/io.linkerd.proxy.destination.Destination/Get",
        "/io.linkerd.proxy.destination.Destination/GetProfile", "/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/", "//x",
    ];

    private readonly Random _random = new(number);

    /// <summary>Runs it. That the other side cuts it off is what should happen; that nobody listens is not.</summary>
    /// <exception cref="SocketException">The listener is gone.</exception>
    public async Task RunAsync(CancellationToken ct)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(TimeSpan.FromSeconds(5));
        try
        {
            await socket.ConnectAsync(target.Address, limit.Token);
        }
        catch (Exception busy) when (busy is OperationCanceledException or SocketException { SocketErrorCode: not SocketError.ConnectionRefused })
        {
            return;
        }

        try
        {
            await using var stream = new NetworkStream(socket);
            if (kind < AttackKind.MutatedCall) await OverTcpAsync(stream, limit.Token);
            else await InTlsAsync(stream, limit.Token);
            await LeaveAsync(socket, stream, limit.Token);
        }
        catch (Exception cut) when (cut is IOException or SocketException or AuthenticationException or OperationCanceledException)
        {
            // As it should be.
        }
    }

    private async Task OverTcpAsync(NetworkStream stream, CancellationToken ct)
    {
        var hello = hellos[_random.Next(hellos.Length)];
        switch (kind)
        {
            case AttackKind.RandomBytes:
                await stream.WriteAsync(Garbage(70_000), ct);
                break;
            case AttackKind.TruncatedHello:
                await stream.WriteAsync(hello.AsMemory(0, _random.Next(hello.Length)), ct);
                break;
            case AttackKind.MutatedHello:
                await stream.WriteAsync(Mutate(hello), ct);
                await HearAsync(stream, ct);
                break;
            case AttackKind.OversizedHello:
                // Handshake records without end, each of the greatest length, of one ClientHello of 16 MB less one.
                for (var i = 0; i < 20; i++)
                {
                    byte[] record = [22, 3, 1, 0x40, 0, .. Garbage(0x4000, exactly: true)];
                    if (i == 0) ((byte[])[1, 0xff, 0xff, 0xff]).CopyTo(record, 5);
                    await stream.WriteAsync(record, ct);
                }

                break;
            case AttackKind.NoHelloFirst:
                // A ServerHello, a Finished, an alert, data: whole records that have their time, which is not now.
                byte type = (byte)_random.Next(20, 25);
                await stream.WriteAsync((byte[])[type, 3, 1, 0, 5, (byte)_random.Next(2, 25), 0, 0, 1, 0, .. hello], ct);
                await HearAsync(stream, ct);
                break;
            case AttackKind.GarbageAfterHello:
                await stream.WriteAsync((byte[])[.. hello, .. Garbage(5000)], ct);
                break;
            case AttackKind.GarbageAfterServerHello:
                await stream.WriteAsync(hello, ct);
                await HearAsync(stream, ct);
                await stream.WriteAsync((byte[])[(byte)(20 + _random.Next(5)), 3, 3, 0x40, 0, .. Garbage(3000)], ct);
                break;
            case AttackKind.EndlessHttp1:
                await stream.WriteAsync(Encoding.ASCII.GetBytes("GET /metrics HTTP/1.1\r\nHost: x\r\n"), ct);
                for (var i = 0; i < 200; i++) await stream.WriteAsync(Encoding.ASCII.GetBytes($"A{i}: {new string('b', _random.Next(2000))}\r\n"), ct);
                break;
            case AttackKind.MutatedHttp1:
                string[] requests =
                [
                    "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
                    "GET /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "GET /" + new string('a', 9000) + " HTTP/1.1\r\n\r\n", "GET /streams?a=%00%ff HTTP/1.0\r\n\r\n",
                ];
                await stream.WriteAsync(Mutate(Encoding.Latin1.GetBytes(requests[_random.Next(requests.Length)])), ct);
                break;
            default:
                await stream.WriteAsync((byte[])[.. Http2Bytes.Preface, .. Garbage(2000)], ct);
                break;
        }
    }

    // To a listener without TLS of its own this is one more ClientHello.
    private async Task InTlsAsync(NetworkStream stream, CancellationToken ct)
    {
        var options = target.Server?.Invoke() ?? [new SslClientAuthenticationOptions { TargetHost = "x" }];
        await using var tls = new SslStream(stream, leaveInnerStreamOpen: true);
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(ct))
        {
            limit.CancelAfter(TimeSpan.FromSeconds(1));
            await tls.AuthenticateAsClientAsync(options[_random.Next(options.Length)], limit.Token);
        }

        var path = Paths[_random.Next(Paths.Length)];
        await tls.WriteAsync(
            kind switch
            {
                AttackKind.MutatedCall => Mutate(Http2Bytes.Call(path, Http2Bytes.Message(0, 40, Garbage(40, exactly: true)))),
                AttackKind.AnyFrames => Http2Bytes.AnyFrames(_random),
                AttackKind.FrameFlood => Http2Bytes.Flood(_random, path),
                AttackKind.WrongMessage => Http2Bytes.Call(path, _random.Next(4) switch
                {
                    0 => Http2Bytes.Message(0, uint.MaxValue, Garbage(100)),
                    1 => Http2Bytes.Message(1, 100, Garbage(100, exactly: true)),
                    2 => Http2Bytes.Message(0, 8000, Garbage(8000, exactly: true)),
                    _ => Http2Bytes.Message(0, 0, []),
                }),
                AttackKind.MutatedTransportHeader => Mutate(TransportHeader()),
                _ => Garbage(20_000),
            },
            ct);
        await HearAsync(tls, ct);
    }

    private async Task LeaveAsync(Socket socket, NetworkStream stream, CancellationToken ct)
    {
        switch (_random.Next(3))
        {
            case 0:
                socket.LingerState = new LingerOption(true, 0);
                break;
            case 1:
                socket.Shutdown(SocketShutdown.Send);
                await HearAsync(stream, ct);
                break;
            default:
                break;
        }
    }

    private static async Task HearAsync(Stream stream, CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(Patience);
        try
        {
            _ = await stream.ReadAsync(new byte[8192], patience.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // It has nothing to say.
        }
    }

    // A true one for the application's port, with something behind it.
    private byte[] TransportHeader()
    {
        byte[] message = [8, (byte)(applicationPort & 127 | 128), (byte)(applicationPort >> 7 & 127 | 128), (byte)(applicationPort >> 14)];
        var length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, message.Length);
        return [.. "transport.l5d.io/v1\r\n\r\n"u8, .. length, .. message, .. Garbage(500)];
    }

    private byte[] Garbage(int most, bool exactly = false)
    {
        var bytes = new byte[exactly ? most : _random.Next(1, most)];
        _random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Changes a few bytes, or takes out, doubles or cuts off a piece.</summary>
    private byte[] Mutate(byte[] original)
    {
        var bytes = (byte[])original.Clone();
        var from = _random.Next(bytes.Length);
        var piece = bytes.AsSpan(from, _random.Next(bytes.Length - from)).ToArray();
        switch (_random.Next(5))
        {
            case 0: return [.. bytes[..from], .. bytes[(from + piece.Length)..]];
            case 1: return [.. bytes[..from], .. piece, .. bytes[from..]];
            case 2: return bytes[..from];
            default:
                for (var i = _random.Next(1, 9); i > 0; i--) bytes[_random.Next(bytes.Length)] = (byte)_random.Next(256);
                return bytes;
        }
    }
}
