using System.Text;
using System.Threading.Channels;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Tests.Connections;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>Stands where an exchange stands, on the loop: tells the test what it was told, and does what the test has asked for.</summary>
internal sealed class Recorder : IRequestHandler, IStreamHandler, IHttp1ClientOwner
{
    private readonly Channel<string> _events = Channel.CreateUnbounded<string>();

    /// <summary>Whether data are given back at once.</summary>
    public bool Consumes { get; set; } = true;

    /// <summary>Called on the loop with each event.</summary>
    public Action<HttpStream, string>? Reacts { get; set; }

    /// <summary>Of the last head or trailers.</summary>
    public string Fields { get; private set; } = "";

    public MessageHead Head { get; private set; }

    public int Received { get; private set; }

    public int Sent { get; private set; }

    public StreamFault Fault { get; private set; }

    public async Task<string> NextAsync() => await _events.Reader.ReadAsync().AsTask().WaitAsync(TestClient.Limit);

    /// <summary>Nothing has been told that the test has not seen.</summary>
    public bool IsQuiet => !_events.Reader.TryPeek(out _);

    /// <summary>All data up to the end of the message; trailers behind a bar.</summary>
    public async Task<string> BodyAsync()
    {
        var body = new StringBuilder();
        while (true)
        {
            var next = await NextAsync();
            if (next.StartsWith("trailers ", StringComparison.Ordinal)) return $"{body}|{next[9..]}";
            Assert.StartsWith("data ", next, StringComparison.Ordinal);
            var end = next.EndsWith(" end", StringComparison.Ordinal);
            body.Append(next.AsSpan(5, next.Length - (end ? 9 : 5)));
            if (end) return body.ToString();
        }
    }

    public void Accept(HttpStream stream)
    {
        stream.Handler = this;
        Say(stream, "accept");
    }

    public void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end)
    {
        (Fields, Head) = (fields.Text(), head);
        var what = head.Status > 0 ? $"{head.Status}" : $"{Encoding.ASCII.GetString(fields.ValueOf(FieldName.Method))} {Encoding.ASCII.GetString(fields.ValueOf(FieldName.Path))}";
        Say(stream, end ? what + " end" : what);
    }

    public void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end)
    {
        Received += data.Length;
        if (Consumes) stream.Consumed(data.Length);
        Say(stream, "data " + Encoding.Latin1.GetString(data) + (end ? " end" : ""));
    }

    public void OnTrailers(HttpStream stream, HeaderBlock fields)
    {
        Fields = fields.Text();
        Say(stream, "trailers " + Fields.Replace("\n", ";", StringComparison.Ordinal));
    }

    public void OnSent(HttpStream stream, int bytes) => Sent += bytes;

    public void OnClosed(HttpStream stream, StreamFault fault)
    {
        Fault = fault;
        Say(stream, $"closed {fault.Kind}");
    }

    public void OnIdle(Http1ClientConnection connection) => Say(connection, "idle");

    public void OnClosed(Http1ClientConnection connection) => Say(connection, "gone");

    private void Say(HttpStream stream, string what)
    {
        // Who accepts is told by the head that follows.
        if (what != "accept") _events.Writer.TryWrite(what);
        Reacts?.Invoke(stream, what);
    }
}

internal static class Messages
{
    public static void SendResponse(this HttpStream stream, int status, string fields = "", bool end = false)
    {
        var block = HeaderBlockText.Block($":status: {status}\n{fields}");
        long? length = block.Contains(FieldName.ContentLength) ? long.Parse(Encoding.ASCII.GetString(block.ValueOf(FieldName.ContentLength)), System.Globalization.CultureInfo.InvariantCulture) : null;
        stream.SendHead(block, new MessageHead(RequestMethod.Other, status, length) { IsUpgrade = status == 101 }, end);
    }

    public static void SendRequest(this HttpStream stream, string method, string fields = "", bool end = false)
    {
        var block = HeaderBlockText.Block($":authority: a\n:scheme: http\n:method: {method}\n:path: /\n{fields}");
        if (method == "CONNECT") block = HeaderBlockText.Block(":method: CONNECT\n:authority: a:80\n");
        long? length = block.Contains(FieldName.ContentLength) ? long.Parse(Encoding.ASCII.GetString(block.ValueOf(FieldName.ContentLength)), System.Globalization.CultureInfo.InvariantCulture) : null;
        stream.SendHead(block, new MessageHead(RequestMethods.Find(Encoding.ASCII.GetBytes(method)), 0, length) { IsUpgrade = block.Contains(FieldName.Upgrade) }, end);
    }

    public static void Send(this HttpStream stream, string data, bool end = false) => stream.SendData(Encoding.Latin1.GetBytes(data), end);

    /// <summary>A response with a body of known length.</summary>
    public static void Answer(this HttpStream stream, string body)
    {
        stream.SendResponse(200, $"content-length: {body.Length}\n");
        stream.Send(body, end: true);
    }
}
