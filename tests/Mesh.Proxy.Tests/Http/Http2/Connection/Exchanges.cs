using System.Text;
using System.Threading.Channels;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Tests.Connections;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>Stands where the exchanges of a connection stand, on the loop: tells the test what each stream was told, and does what the test has asked for.</summary>
internal sealed class Exchanges : IRequestHandler, IStreamHandler, IHttp2Owner
{
    private readonly Channel<string> _events = Channel.CreateUnbounded<string>();

    /// <summary>Whether data are given back at once.</summary>
    public bool Consumes { get; set; } = true;

    /// <summary>Called on the loop with each event.</summary>
    public Action<Http2Stream, string>? Reacts { get; set; }

    /// <summary>Of the last head or trailers.</summary>
    public string Fields { get; private set; } = "";

    public int Received { get; private set; }

    public int Sent { get; private set; }

    public Dictionary<int, Http2Stream> Streams { get; } = [];

    public bool IsQuiet => !_events.Reader.TryPeek(out _);

    public async Task<string> NextAsync() => await _events.Reader.ReadAsync().AsTask().WaitAsync(TestClient.Limit);

    public async Task ExpectAsync(params string[] events)
    {
        foreach (var expected in events) Assert.Equal(expected, await NextAsync());
    }

    /// <summary>Answers every request with 200 when it has ended.</summary>
    public static void Answer(Http2Stream stream, string what)
    {
        if (!what.EndsWith(" end", StringComparison.Ordinal) && !what.StartsWith("trailers", StringComparison.Ordinal)) return;
        Http1.Messages.SendResponse(stream, 200, end: true);
    }

    public void Accept(HttpStream stream) => stream.Handler = this;

    public void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end)
    {
        Fields = fields.Text();
        Streams[((Http2Stream)stream).Id] = (Http2Stream)stream;
        Say(stream, (head.Status > 0 ? $"{head.Status}" : Encoding.ASCII.GetString(fields.ValueOf(FieldName.Method))) + (end ? " end" : ""));
    }

    public void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end)
    {
        Received += data.Length;
        if (Consumes) stream.Consumed(data.Length);
        Say(stream, $"data {data.Length}{(end ? " end" : "")}");
    }

    public void OnTrailers(HttpStream stream, HeaderBlock fields)
    {
        Fields = fields.Text();
        Say(stream, "trailers");
    }

    public void OnSent(HttpStream stream, int bytes)
    {
        Sent += bytes;
        Reacts?.Invoke((Http2Stream)stream, "sent");
    }

    public void OnClosed(HttpStream stream, StreamFault fault) => Say(stream, fault.Kind == StreamFaultKind.None ? "closed" : $"closed {fault.Kind} {fault.Code}");

    public void OnRoomForStream(Http2Connection connection) => _events.Writer.TryWrite("room");

    public void OnGoingAway(Http2Connection connection) => _events.Writer.TryWrite("going");

    private void Say(HttpStream stream, string what)
    {
        _events.Writer.TryWrite($"{((Http2Stream)stream).Id} {what}");
        Reacts?.Invoke((Http2Stream)stream, what);
    }
}
