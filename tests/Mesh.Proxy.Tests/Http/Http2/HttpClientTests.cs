using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2;

/// <summary>The framework's HTTP/2 client as a second opinion on frames and HPACK, over a real socket.</summary>
public sealed class HttpClientTests
{
    [Theory]
    [InlineData(HuffmanUse.Never)]
    [InlineData(HuffmanUse.WhenShorter)]
    public async Task What_it_sends_is_read_and_what_is_answered_it_reads(object huffman)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var heads = new List<string>();
        var server = ServeAsync(listener, (HuffmanUse)huffman, heads);
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        var random = new Random(41);
        var expected = new List<string>();
        for (var round = 0; round < 200; round++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/{round % 7}?{round}")
            {
                Version = System.Net.HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            var name = "x-" + random.Next(20);
            var value = random.Next(3) == 0 ? "the same" : new string([.. Enumerable.Range(0, random.Next(1, 200)).Select(_ => (char)random.Next(33, 127))]);
            request.Headers.TryAddWithoutValidation(name, value);
            using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal([value], response.Headers.GetValues("x-echo"));
            Assert.Equal(["always"], response.Headers.GetValues("x-constant"));
            Assert.Equal($"body {round}", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
            expected.Add($":path: /{round % 7}?{round}\n{name}: {value}\n");
        }

        client.Dispose();
        await server;
        Assert.Equal(expected, heads);
    }

    private static async Task ServeAsync(TcpListener listener, HuffmanUse huffman, List<string> heads)
    {
        using var socket = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        socket.NoDelay = true;
        var stream = socket.GetStream();
        var buffer = new byte[32 * 1024];
        await stream.ReadExactlyAsync(buffer.AsMemory(0, FrameHeader.Preface.Length), TestContext.Current.CancellationToken);
        Assert.True(buffer.AsSpan(0, FrameHeader.Preface.Length).SequenceEqual(FrameHeader.Preface));
        var connection = new Connection(huffman);
        await stream.WriteAsync(buffer.AsMemory(0, FrameWriter.WriteSettings(buffer, [])), TestContext.Current.CancellationToken);
        while (await stream.ReadAtLeastAsync(buffer.AsMemory(0, FrameHeader.Size), FrameHeader.Size, throwOnEndOfStream: false, TestContext.Current.CancellationToken) == FrameHeader.Size)
        {
            Assert.True(FrameHeader.TryRead(buffer, out var frame));
            await stream.ReadExactlyAsync(buffer.AsMemory(0, frame.Length), TestContext.Current.CancellationToken);
            var answer = connection.Answer(frame, buffer.AsSpan(0, frame.Length), heads);
            if (answer.Length > 0) await stream.WriteAsync(answer, TestContext.Current.CancellationToken);
        }
    }

    private sealed class Connection(HuffmanUse huffman)
    {
        private readonly HpackEncoder _encoder = new(huffman);
        private readonly HpackDecoder _decoder = new();
        private readonly FieldBlockAssembly _assembly = new();
        private readonly byte[] _out = new byte[32 * 1024];
        private readonly HeaderBlock _fields = new();
        private PeerSettings _settings = new();

        public ReadOnlyMemory<byte> Answer(in FrameHeader frame, ReadOnlySpan<byte> payload, List<string> heads)
        {
            Assert.Equal(Http2Fault.None, FrameRules.Check(frame, _assembly.StreamId));
            switch (frame.Type)
            {
                case FrameType.Settings when !frame.Has(FrameFlags.Ack):
                    Assert.Equal(Http2Fault.None, _settings.Apply(payload, out _));
                    _encoder.SetPeerTableSize(_settings.HeaderTableSize);
                    return _out.AsMemory(0, FrameWriter.WriteSettingsAck(_out));
                case FrameType.Ping when !frame.Has(FrameFlags.Ack):
                    return _out.AsMemory(0, FrameWriter.WritePing(_out, FrameFlags.Ack, payload));
                case FrameType.Headers:
                    Assert.Equal(Http2Fault.None, Payloads.ReadHeaders(frame, payload, out var fragment));
                    Assert.Equal(Http2Fault.None, _assembly.Add(frame, fragment, out var block));
                    _fields.Clear();
                    Assert.Equal(HpackFault.None, _decoder.Decode(block, _fields));
                    Assert.Equal(Http2Fault.None, MessageRules.CheckRequest(_fields, ConnectForm.Plain, out _));
                    return Respond(frame.StreamId, heads);
                default:
                    return default;
            }
        }

        private ReadOnlyMemory<byte> Respond(int streamId, List<string> heads)
        {
            var echo = Enumerable.Range(0, _fields.Count).Single(i => _fields.Known(i) == FieldName.Other);
            heads.Add($":path: {Encoding.ASCII.GetString(_fields.ValueOf(FieldName.Path))}\n{Encoding.ASCII.GetString(_fields[echo].Name)}: {Encoding.ASCII.GetString(_fields.Value(echo))}\n");
            var head = HeaderBlockText.Block(":status: 200\nx-constant: always\n");
            head.Add("x-echo"u8, _fields.Value(echo));
            var at = FrameWriter.WriteHeaders(_out, streamId, head, FrameFlags.None, _encoder, _settings.MaxFrameSize);
            var body = Encoding.ASCII.GetBytes($"body {heads.Count - 1}");
            at += FrameWriter.WriteDataHeader(_out.AsSpan(at), streamId, body.Length, FrameFlags.EndStream);
            body.CopyTo(_out, at);
            return _out.AsMemory(0, at + body.Length);
        }
    }
}
