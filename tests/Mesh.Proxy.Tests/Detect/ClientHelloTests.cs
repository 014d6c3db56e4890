using System.Text;
using Mesh.Proxy.Detect;

namespace Mesh.Proxy.Tests.Detect;

public sealed class ClientHelloTests
{
    private const string Name = "web.demo.serviceaccount.identity.mesh.example.org";

    [Fact]
    public async Task Reads_the_server_name_of_a_real_client()
    {
        Assert.Equal(ClientHelloStatus.Tls, ClientHello.TryRead(await HelloBytes.RealAsync(Name), out var name));
        Assert.Equal(Name, name);
    }

    [Fact]
    public async Task Every_prefix_of_a_real_hello_is_incomplete()
    {
        var hello = await HelloBytes.RealAsync(Name);
        for (var length = 0; length < hello.Length; length++)
            Assert.Equal(ClientHelloStatus.Incomplete, ClientHello.TryRead(hello.AsSpan(0, length), out _));
    }

    [Theory]
    [InlineData(16384)]
    [InlineData(512)]
    [InlineData(3)] // cuts the handshake header itself
    [InlineData(1)]
    public void Joins_a_post_quantum_sized_hello_cut_into_records(int recordSize)
    {
        var hello = HelloBytes.Build(Name, padding: 1216, recordSize);
        Assert.Equal(ClientHelloStatus.Tls, ClientHello.TryRead(hello, out var name));
        Assert.Equal(Name, name);
        for (var length = 0; length < hello.Length; length++)
            Assert.Equal(ClientHelloStatus.Incomplete, ClientHello.TryRead(hello.AsSpan(0, length), out _));
    }

    [Fact]
    public void Bytes_after_the_hello_do_not_matter()
    {
        byte[] more = [.. HelloBytes.Build(Name), 20, 3, 3, 0, 1, 1, 23, 3, 3];
        Assert.Equal(ClientHelloStatus.Tls, ClientHello.TryRead(more, out var name));
        Assert.Equal(Name, name);
    }

    [Fact]
    public void The_name_is_lower_cased() =>
        Assert.True(ClientHello.TryRead(HelloBytes.Build("Web.Example.ORG"), out var name) == ClientHelloStatus.Tls && name == "web.example.org");

    [Theory]
    [InlineData(null)]
    [InlineData("10.0.0.1")]
    [InlineData("a..b")]
    [InlineData("-a.example")]
    [InlineData("caf\u00e9.example")]
    [InlineData("a\0.example")]
    public void Tls_without_a_usable_name_is_still_tls(string? serverName)
    {
        var hello = serverName is null ? HelloBytes.Build(null) : HelloBytes.WithExtensions(HelloBytes.SniExtension(serverName));
        Assert.Equal(ClientHelloStatus.Tls, ClientHello.TryRead(hello, out var name));
        Assert.Null(name);
    }

    [Fact]
    public void Two_server_name_extensions_are_refused() =>
        Assert.Equal(
            ClientHelloStatus.NotTls,
            ClientHello.TryRead(HelloBytes.WithExtensions(HelloBytes.SniExtension("a.example"), HelloBytes.SniExtension("b.example")), out _));

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n")]
    public void Plain_text_is_seen_at_the_first_byte(string text) =>
        Assert.Equal(ClientHelloStatus.NotTls, ClientHello.TryRead(Encoding.ASCII.GetBytes(text).AsSpan(0, 1), out _));

    [Theory]
    [InlineData("1602")] // not major version 3
    [InlineData("160305")] // no such version
    [InlineData("1603010000")] // empty record
    [InlineData("160301ffff")] // record longer than TLS allows
    [InlineData("160301000402000000")] // ServerHello
    [InlineData("16030100010115")] // an alert inside the message
    [InlineData("802b0100")] // SSL 2
    public void What_cannot_become_a_hello_is_refused_at_once(string hex) =>
        Assert.Equal(ClientHelloStatus.NotTls, ClientHello.TryRead(Convert.FromHexString(hex), out _));

    [Fact]
    public void A_hello_beyond_the_bound_is_tls_without_a_name_and_waits_for_nothing()
    {
        byte[] announcing = [22, 3, 1, 0x40, 0, 1, 1, 0, 0];
        Assert.Equal(ClientHelloStatus.Tls, ClientHello.TryRead(announcing, out var name));
        Assert.Null(name);

        // One byte of message in each record: the bound on what is looked at ends it.
        var dripping = HelloBytes.Records([1, 0, 0x3f, 0xf0, .. new byte[5000]], 1);
        Assert.Equal(ClientHelloStatus.Tls, ClientHello.TryRead(dripping, out _));
        Assert.Equal(ClientHelloStatus.Tls, ClientHello.TryRead(dripping.AsSpan(0, ClientHello.MaxLength), out _));
        Assert.Equal(ClientHelloStatus.Incomplete, ClientHello.TryRead(dripping.AsSpan(0, ClientHello.MaxLength - 1), out _));
    }

    [Fact]
    public void No_bytes_break_it()
    {
        Fuzz([]);
        var random = new Random(7);
        var hello = HelloBytes.Build(Name, padding: 40);
        for (var round = 0; round < 20_000; round++)
        {
            var bytes = (byte[])hello.Clone();
            for (var changes = random.Next(1, 4); changes > 0; changes--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            Fuzz(bytes.AsSpan(0, random.Next(bytes.Length + 1)));
        }

        for (var round = 0; round < 2_000; round++)
        {
            var noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            Fuzz(noise);
        }
    }

    /// <summary>The fuzz target: any bytes give an answer, and a given name is a DNS name.</summary>
    internal static void Fuzz(ReadOnlySpan<byte> bytes)
    {
        var status = ClientHello.TryRead(bytes, out var name);
        if (status != ClientHelloStatus.Tls) Assert.Null(name);
        if (name is not null) Assert.True(Proxy.Settings.HostPort.IsDnsName(name));
    }
}
