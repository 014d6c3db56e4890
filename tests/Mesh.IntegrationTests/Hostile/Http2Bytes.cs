using System.Buffers.Binary;
using System.Text;

namespace Mesh.IntegrationTests.Hostile;

/// <summary>HTTP/2 frames (RFC 9113) and gRPC calls in them, to be sent as they are or broken.</summary>
internal static class Http2Bytes
{
    public const byte Data = 0, Headers = 1, Priority = 2, Reset = 3, Settings = 4, Ping = 6, WindowUpdate = 8, Continuation = 9;

    private const byte EndStream = 1, EndHeaders = 4;

    public static byte[] Preface { get; } = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();

    public static byte[] Frame(byte type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[9 + payload.Length];
        frame[0] = (byte)(payload.Length >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(1), (ushort)payload.Length);
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame.AsSpan(9));
        return frame;
    }

    /// <summary>Preface, settings and one call with one message.</summary>
    public static byte[] Call(string path, ReadOnlySpan<byte> grpcMessage) =>
        [.. Preface, .. Frame(Settings, 0, 0, []), .. CallHeaders(1, path), .. Frame(Data, EndStream, 1, grpcMessage)];

    public static byte[] CallHeaders(int stream, string path) => Frame(Headers, EndHeaders, stream, HeaderBlock(
        (":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "mesh"), ("content-type", "application/grpc"), ("te", "trailers")));

    /// <summary>A gRPC message behind its flag and its length, which need not be true.</summary>
    public static byte[] Message(byte compressed, uint length, ReadOnlySpan<byte> content)
    {
        var message = new byte[5 + content.Length];
        message[0] = compressed;
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(1), length);
        content.CopyTo(message.AsSpan(5));
        return message;
    }

    /// <summary>What a server must bound: many cheap frames that each cost it something.</summary>
    public static byte[] Flood(Random random, string path)
    {
        var bytes = new List<byte>([.. Preface, .. Frame(Settings, 0, 0, [])]);
        var kind = random.Next(7);
        for (var i = 0; i < 1000; i++)
        {
            var stream = 2 * i + 1;
            switch (kind)
            {
                case 0: bytes.AddRange(Frame(Ping, 0, 0, new byte[8])); break;
                case 1: bytes.AddRange(Frame(Settings, 0, 0, [0, 4, 0, 0, 0, (byte)i])); break;
                case 2:
                    // Rapid reset, CVE-2023-44487.
                    bytes.AddRange(CallHeaders(stream, path));
                    bytes.AddRange(Frame(Reset, 0, stream, [0, 0, 0, 8]));
                    break;
                case 3: bytes.AddRange(CallHeaders(stream, path)); break;
                case 4: bytes.AddRange(i == 0 ? Frame(Headers, 0, 1, HeaderBlock((":method", "POST"))) : Frame(Continuation, 0, 1, HeaderBlock(("a" + i, new string('b', 200))))); break;
                case 5: bytes.AddRange(Frame(WindowUpdate, 0, 0, [0x7f, 0xff, 0xff, 0xff])); break;
                default: bytes.AddRange(Frame(Data, 0, 1, [])); break;
            }
        }

        return [.. bytes];
    }

    /// <summary>Frames of any type, flags, stream and length, the payload random as well.</summary>
    public static byte[] AnyFrames(Random random)
    {
        var bytes = new List<byte>([.. Preface, .. Frame(Settings, 0, 0, [])]);
        for (var i = random.Next(1, 30); i > 0; i--)
        {
            var payload = new byte[random.Next(4) == 0 ? random.Next(20_000) : random.Next(64)];
            random.NextBytes(payload);
            var frame = Frame((byte)random.Next(12), (byte)random.Next(256), random.Next(6), payload);
            if (random.Next(8) == 0) frame[0] = (byte)random.Next(256);
            bytes.AddRange(frame);
        }

        return [.. bytes];
    }

    // HPACK (RFC 7541 section 6.2.2): literals that enter no table, names and values as they are.
    private static byte[] HeaderBlock(params ReadOnlySpan<(string Name, string Value)> fields)
    {
        var block = new List<byte>();
        foreach (var (name, value) in fields)
        {
            block.Add(0);
            foreach (var text in (string[])[name, value])
            {
                // A length of 127 or more continues in bytes of seven bits (section 5.1).
                if (text.Length < 127) block.Add((byte)text.Length);
                else
                {
                    block.Add(127);
                    var rest = text.Length - 127;
                    for (; rest >= 128; rest >>= 7) block.Add((byte)(rest & 127 | 128));
                    block.Add((byte)rest);
                }

                block.AddRange(Encoding.ASCII.GetBytes(text));
            }
        }

        return [.. block];
    }
}
