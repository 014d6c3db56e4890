using System.Text;
using Mesh.Proxy.Detect;

namespace Mesh.Proxy.Tests.Detect;

public sealed class TransportHeaderTests
{
    [Fact]
    public void Is_written_as_linkerd_reads_it()
    {
        // 23 bytes of preface, length 3, field 1 (varint) = 8080.
        byte[] expected = [.. Encoding.ASCII.GetBytes("transport.l5d.io/v1\r\n\r\n"), 0, 0, 0, 3, 0x08, 0x90, 0x3f];
        Assert.Equal(expected, TransportHeader.ForPort(8080).ToBytes());
        Assert.Equal(27, TransportHeader.PrefixLength);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(80)]
    [InlineData(65535)]
    public void Reads_what_it_writes(int port)
    {
        var bytes = TransportHeader.ForPort(port).ToBytes();
        Assert.Equal(TransportHeaderFault.None, TransportHeader.ReadPrefix(bytes.AsSpan(0, TransportHeader.PrefixLength), out var length));
        Assert.Equal(bytes.Length - TransportHeader.PrefixLength, length);
        Assert.Equal(TransportHeaderFault.None, TransportHeader.TryParse(bytes.AsSpan(TransportHeader.PrefixLength), out var header));
        Assert.Equal(TransportHeader.ForPort(port), header);
    }

    [Theory]
    [InlineData("")] // port absent
    [InlineData("0800")] // 0
    [InlineData("08808004")] // 65536
    [InlineData("08ffffffffffffffffff01")] // -1
    public void A_port_out_of_range_is_refused(string hex) =>
        Assert.Equal(TransportHeaderFault.BadPort, TransportHeader.TryParse(Convert.FromHexString(hex), out _));

    [Fact]
    public void Session_protocol_and_name_are_read()
    {
        Assert.Equal(TransportHeaderFault.None, TransportHeader.TryParse(Convert.FromHexString("0850120161" + "1a021200"), out var header));
        Assert.Equal((80, "a", SessionKind.Http2), (header!.Port, header.Name, header.Session));
    }

    [Fact]
    public void Broken_messages_are_refused()
    {
        Assert.Equal(TransportHeaderFault.Malformed, TransportHeader.TryParse([0x08], out _));
        Assert.Equal(TransportHeaderFault.Malformed, TransportHeader.TryParse([0x12, 0x7f, 0x41], out _));
        Assert.Equal(TransportHeaderFault.TooLong, TransportHeader.TryParse(new byte[TransportHeader.MaxLength + 1], out _));
    }

    [Fact]
    public void The_prefix_is_checked_before_a_length_is_believed()
    {
        var prefix = TransportHeader.ForPort(80).ToBytes()[..TransportHeader.PrefixLength];
        prefix[^2] = 5;
        Assert.Equal(TransportHeaderFault.TooLong, TransportHeader.ReadPrefix(prefix, out var length));
        Assert.Equal(0, length);
        prefix[^4] = 0xff;
        Assert.Equal(TransportHeaderFault.TooLong, TransportHeader.ReadPrefix(prefix, out _));
        prefix[0] = (byte)'T';
        Assert.Equal(TransportHeaderFault.NoPreface, TransportHeader.ReadPrefix(prefix, out _));
    }

    [Fact]
    public void No_bytes_break_it()
    {
        var random = new Random(11);
        for (var round = 0; round < 20_000; round++)
        {
            var bytes = new byte[random.Next(64)];
            random.NextBytes(bytes);
            Fuzz(bytes);
        }
    }

    /// <summary>The fuzz target: any message gives a fault or a header with a port in range.</summary>
    internal static void Fuzz(ReadOnlySpan<byte> bytes)
    {
        var fault = TransportHeader.TryParse(bytes, out var header);
        Assert.Equal(fault == TransportHeaderFault.None, header is not null);
        if (header is not null) Assert.InRange(header.Port, 1, 65535);
    }
}
