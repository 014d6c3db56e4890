using System.Net.Sockets;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>Frames that are nearly right: the connection ends or goes on, nothing throws, every stream is told of its end, every buffer comes back.</summary>
public sealed class ConnectionFuzzTests
{
    private static readonly string[] _frames =
    [
        "headers 1 EH get", "headers 1 H post", "headers 3 EH get", "headers 3 H post", "headers 5 EH get", "headers 7 H post", "headers 1 EH ok", "headers 3 H ok",
        "headers 9 - 8286", "continuation 9 - 84", "continuation 9 H 410161", "headers 3 EH 400178017988", "headers 5 EHR 000000010f828684410161", "headers 7 EHP 02828684410161ffff",
        "data 1 - z5", "data 1 E z100", "data 3 - z16384", "data 3 EP 0300000000", "data 5 E", "data 7 - 00", "data 9 P 00",
        "priority 3 - 000000010f", "rststream 1 - 00000008", "rststream 3 - 00000007", "rststream 7 - 00000000",
        "settings 0 - 000400000005", "settings 0 - 0004000fffff", "settings 0 - 000100000000", "settings 0 - 000300000001", "settings 0 - 000600000020", "settings 0 E",
        "ping 0 - z8", "ping 0 E z8", "goaway 0 - 0000000300000000", "windowupdate 0 - 0000ffff", "windowupdate 1 - 000000ff", "windowupdate 3 - 0000ffff", "77 0 - z20",
    ];

    [Theory]
    [InlineData(Http2Role.Server, 71)]
    [InlineData(Http2Role.Server, 72)]
    [InlineData(Http2Role.Client, 73)]
    [InlineData(Http2Role.Client, 74)]
    public async Task No_frames_break_a_connection(object role, int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 60; round++) await FuzzAsync((Http2Role)role, Input(random), random.Next());
    }

    /// <summary>Frames of the list, one in a while with a byte changed, lost or added.</summary>
    private static byte[] Input(Random random)
    {
        var bytes = new List<byte>();
        for (var i = random.Next(1, 40); i > 0; i--)
        {
            var frame = Http2Peer.Frames(_frames[random.Next(_frames.Length)]).ToList();
            switch (random.Next(40))
            {
                case 0:
                    frame[random.Next(frame.Count)] = (byte)random.Next(256);
                    break;
                case 1:
                    frame.RemoveAt(random.Next(frame.Count));
                    break;
                case 2:
                    frame.Insert(random.Next(frame.Count), (byte)random.Next(256));
                    break;
                case 3:
                    frame[8] = (byte)random.Next(12);
                    break;
                case 4:
                    frame[4] ^= (byte)(1 << random.Next(8));
                    break;
            }

            bytes.AddRange(frame);
        }

        return [.. bytes];
    }

    /// <summary>The fuzz target: a connection of this role that takes these bytes and then the end, with streams that do this and that.</summary>
    private static async Task FuzzAsync(Http2Role role, byte[] input, int seed)
    {
        var random = new Random(seed);
        int begun = 0, ended = 0;
        using var side = await Http2Side.BareAsync(new Http2Options { Role = role, MaxConcurrentStreams = 3 });
        side.Exchanges.Reacts = (stream, what) =>
        {
            if (what.StartsWith("closed", StringComparison.Ordinal)) ended++;
            else if (what == "sent") return;
            else if (role == Http2Role.Server && what.Split(' ')[0] is "GET" or "POST") begun++;
            if (stream.IsOver) return;
            switch (random.Next(8))
            {
                case 0:
                    stream.Reset(Http2ErrorCode.Cancel);
                    ended++;
                    break;
                case 1 when role == Http2Role.Server && stream.State is StreamState.Open or StreamState.HalfClosedRemote:
                    Http1.Messages.SendResponse(stream, 200);
                    stream.SendData(new byte[random.Next(100_000)], end: true);
                    break;
            }
        };
        if (role == Http2Role.Client)
        {
            for (var i = 0; i < 3; i++) await side.RequestAsync(i == 1 ? "POST" : "GET", end: i != 1);
            begun = 3;
        }

        try
        {
            if (role == Http2Role.Server) await side.Peer.SendAsync(FrameHeader.Preface.ToArray());
            if (random.Next(10) > 0) await side.Peer.SendAsync("settings 0 -");
            for (var at = 0; at < input.Length;)
            {
                var piece = Math.Min(input.Length - at, random.Next(1, 200));
                await side.Peer.Socket.SendAsync(input.AsMemory(at, piece));
                at += piece;
            }

            side.Peer.Socket.Finish();
            await side.Peer.Socket.ReadToEndAsync();
        }
        catch (SocketException fault) when (fault.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // The connection ended before everything was said.
        }

        await side.EndAsync();
        Assert.Equal(begun, await side.Loop.On(() => ended));
        Assert.Equal(0, await side.Loop.On(() => side.Loop.Loop.Buffers.Rented));
    }
}
