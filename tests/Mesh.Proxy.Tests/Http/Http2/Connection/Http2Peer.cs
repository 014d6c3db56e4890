using System.Buffers.Binary;
using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Tests.Connections;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

internal sealed record Frame(FrameType Type, FrameFlags Flags, int Id, byte[] Payload)
{
    public Http2ErrorCode Code => (Http2ErrorCode)BinaryPrimitives.ReadUInt32BigEndian(Payload.AsSpan(Type == FrameType.GoAway ? 4 : 0));

    public int Number => BinaryPrimitives.ReadInt32BigEndian(Payload);

    public bool Ends => Type is FrameType.Data or FrameType.Headers && (Flags & FrameFlags.EndStream) != 0;

    public override string ToString() => Type switch
    {
        FrameType.RstStream => $"reset {Id} {Code}",
        FrameType.GoAway => $"goaway {Number} {Code}",
        FrameType.WindowUpdate => $"window {Id} {Number}",
        FrameType.Data => $"data {Id} {Payload.Length}{(Ends ? " end" : "")}",
        FrameType.Headers => $"headers {Id}{(Ends ? " end" : "")}",
        _ => $"{Type.ToString().ToLowerInvariant()}{((Flags & FrameFlags.Ack) != 0 ? " ack" : "")}",
    };
}

/// <summary>The other end of a connection: frames by hand, right or wrong, over a socket.</summary>
internal sealed class Http2Peer(TestClient socket)
{
    private readonly HpackDecoder _decoder = new();
    private byte _ping;

    public TestClient Socket { get; } = socket;

    /// <summary>
    /// Frames as text, one a line: type, stream, flags (E end or ack, H end of headers, P padded, R priority, - none) and a payload: hex, "get" and
    /// "post" for the block of a request, "ok" for that of a response, z and a number for that many zeros.
    /// </summary>
    public static byte[] Frames(string text)
    {
        using var all = new MemoryStream();
        foreach (var line in text.Split(['\n', '|'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var words = line.Split(' ');
            var type = byte.TryParse(words[0], out var number) ? (FrameType)number : Enum.Parse<FrameType>(words[0], ignoreCase: true);
            FrameFlags flags = 0;
            foreach (var letter in words[2])
                flags |= letter switch { 'E' => FrameFlags.EndStream, 'H' => FrameFlags.EndHeaders, 'P' => FrameFlags.Padded, 'R' => FrameFlags.Priority, _ => 0 };
            all.Write(Frame(type, flags, int.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture), Payload(words.Length > 3 ? words[3] : "")));
        }

        return all.ToArray();
    }

    public static byte[] Frame(FrameType type, FrameFlags flags, int id, ReadOnlySpan<byte> payload)
    {
        var bytes = new byte[FrameHeader.Size + payload.Length];
        new FrameHeader(payload.Length, type, flags, id).Write(bytes);
        payload.CopyTo(bytes.AsSpan(FrameHeader.Size));
        return bytes;
    }

    /// <summary>A field block of literals that no table learns: "name: value" a line, right or wrong.</summary>
    public static byte[] Block(string fields)
    {
        using var block = new MemoryStream();
        foreach (var line in fields.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = line.IndexOf(": ", 1, StringComparison.Ordinal);
            block.WriteByte(0);
            Write(line[..colon]);
            Write(line[(colon + 2)..]);
        }

        return block.ToArray();

        void Write(string text)
        {
            Span<byte> length = stackalloc byte[HpackInteger.MaxLength];
            block.Write(length[..HpackInteger.Write(length, text.Length, 7, 0)]);
            block.Write(Encoding.Latin1.GetBytes(text));
        }
    }

    public static byte[] Headers(int id, string fields, bool end) =>
        Frame(FrameType.Headers, FrameFlags.EndHeaders | (end ? FrameFlags.EndStream : 0), id, Block(fields));

    public static byte[] Setting(SettingId id, uint value)
    {
        var bytes = new byte[64];
        return bytes[..FrameWriter.WriteSettings(bytes, [(id, value)])];
    }

    public static byte[] Window(int id, int increment)
    {
        var bytes = new byte[FrameWriter.MaxControlFrame];
        return bytes[..FrameWriter.WriteWindowUpdate(bytes, id, increment)];
    }

    public static byte[] Data(int id, int length, bool end) => Frame(FrameType.Data, end ? FrameFlags.EndStream : 0, id, new byte[length]);

    public Task SendAsync(string frames) => Socket.SendAsync(Frames(frames));

    public Task SendAsync(params byte[][] frames) => Socket.SendAsync(frames.SelectMany(f => f).ToArray());

    public async Task<Frame> ReadAsync()
    {
        var bytes = new byte[FrameHeader.Size];
        await ReadExactlyAsync(bytes);
        FrameHeader.TryRead(bytes, out var header);
        var payload = new byte[header.Length];
        await ReadExactlyAsync(payload);
        return new Frame(header.Type, header.Flags, header.StreamId, payload);
    }

    public async Task ExpectAsync(params string[] frames)
    {
        foreach (var expected in frames) Assert.Equal(expected, (await ReadAsync()).ToString());
    }

    /// <summary>The next head, of a request or a response.</summary>
    public async Task<string> HeadAsync(int id)
    {
        var frame = await ReadAsync();
        Assert.Equal((FrameType.Headers, id), (frame.Type, frame.Id));
        var fields = new HeaderBlock();
        Assert.Equal(HpackFault.None, _decoder.Decode(frame.Payload, fields));
        return fields.Text() + (frame.Ends ? "end" : "");
    }

    /// <summary>Everything that was said until all that was sent had been taken: a PING's answer tells.</summary>
    public async Task<List<string>> SyncAsync()
    {
        var ping = Frame(FrameType.Ping, 0, 0, [9, 9, 9, 9, 9, 9, 9, ++_ping]);
        await Socket.SendAsync(ping);
        var frames = new List<string>();
        while (true)
        {
            var frame = await ReadAsync();
            if (frame.Type == FrameType.Ping && frame.Payload[7] == _ping && frame.Payload[0] == 9) return frames;
            frames.Add(frame.ToString());
        }
    }

    /// <summary>Reads up to GOAWAY, and to the end behind it.</summary>
    public async Task<string> GoAwayAsync()
    {
        while (true)
        {
            var frame = await ReadAsync();
            if (frame.Type != FrameType.GoAway) continue;
            return frame.Code.ToString();
        }
    }

    private async Task ReadExactlyAsync(Memory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var read = await Socket.Socket.ReceiveAsync(bytes).AsTask().WaitAsync(TestClient.Limit);
            if (read == 0) throw new EndOfStreamException();
            bytes = bytes[read..];
        }
    }

    private static byte[] Payload(string word) => word switch
    {
        "get" => Block(":method: GET\n:scheme: http\n:authority: a\n:path: /\n"),
        "post" => Block(":method: POST\n:scheme: http\n:authority: a\n:path: /\n"),
        "ok" => Block(":status: 200\n"),
        _ when word.StartsWith('z') => new byte[int.Parse(word.AsSpan(1), System.Globalization.CultureInfo.InvariantCulture)],
        _ => Convert.FromHexString(word),
    };
}
