using System.Buffers.Binary;
using System.Net.Security;
using System.Security.Authentication;
using System.Text;

namespace Mesh.Proxy.Tests.Detect;

/// <summary>ClientHello messages: a real one from the framework's TLS stack, and built ones of any size and shape.</summary>
internal static class HelloBytes
{
    /// <summary>What this machine's OpenSSL sends for <paramref name="serverName"/>.</summary>
    public static async Task<byte[]> RealAsync(string serverName)
    {
        var wire = new FirstFlight();
        await using var tls = new SslStream(wire);
        await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = serverName,
            EnabledSslProtocols = SslProtocols.Tls13,
        }));
        return wire.Written.ToArray();
    }

    /// <summary>A ClientHello with a key share as large as X25519MLKEM768's when <paramref name="padding"/> is 1216.</summary>
    public static byte[] Build(string? serverName, int padding = 0, int recordSize = 16384)
    {
        var extensions = new List<byte>();
        Extension(extensions, 0x002b, [2, 3, 4]);
        if (padding > 0) Extension(extensions, 51, new byte[padding]);
        if (serverName is not null)
        {
            var name = Encoding.ASCII.GetBytes(serverName);
            Extension(extensions, 0, [.. U16(name.Length + 3), 0, .. U16(name.Length), .. name]);
        }

        return Records(Message([.. U16(extensions.Count), .. extensions]), recordSize);
    }

    public static byte[] WithExtensions(params byte[][] extensions)
    {
        var all = extensions.SelectMany(e => e).ToArray();
        return Records(Message([.. U16(all.Length), .. all]), 16384);
    }

    public static byte[] SniExtension(string name)
    {
        var bytes = new List<byte>();
        Extension(bytes, 0, [.. U16(name.Length + 3), 0, .. U16(name.Length), .. Encoding.Latin1.GetBytes(name)]);
        return [.. bytes];
    }

    public static byte[] Records(byte[] message, int recordSize) =>
        [.. message.Chunk(recordSize).SelectMany(c => (byte[])[22, 3, 1, .. U16(c.Length), .. c])];

    private static byte[] Message(byte[] extensions)
    {
        byte[] body = [3, 3, .. new byte[32], 32, .. new byte[32], 0, 6, 0x13, 1, 0x13, 2, 0x13, 3, 1, 0, .. extensions];
        return [1, (byte)(body.Length >> 16), .. U16(body.Length & 0xffff), .. body];
    }

    private static void Extension(List<byte> to, int type, byte[] data)
    {
        to.AddRange(U16(type));
        to.AddRange(U16(data.Length));
        to.AddRange(data);
    }

    private static byte[] U16(int value)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)value);
        return bytes;
    }

    private sealed class FirstFlight : MemoryStream
    {
        public List<byte> Written { get; } = [];

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Written.AddRange(buffer.Span);
            return ValueTask.CompletedTask;
        }

        public override void Write(byte[] buffer, int offset, int count) => Written.AddRange(buffer.AsSpan(offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.FromResult(0);
    }
}
