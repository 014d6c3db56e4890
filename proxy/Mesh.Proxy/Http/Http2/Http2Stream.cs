using Mesh.Proxy.Http.Streams;

namespace Mesh.Proxy.Http.Http2;

/// <summary>One stream of an <see cref="Http2Connection"/>: its state, its windows and what waits for them. Reused from exchange to exchange.</summary>
internal sealed class Http2Stream(Http2Connection connection) : HttpStream
{
    public override HttpVersion Version => HttpVersion.Http2;

    /// <summary>0 until the head of a request of ours is sent.</summary>
    public int Id { get; set; }

    public StreamState State { get; set; }

    public FlowWindow SendWindow;

    public ReceiveWindow ReceiveWindow;

    /// <summary>Received and not given back by <see cref="Consumed"/>.</summary>
    public int Held { get; set; }

    /// <summary>Holds DATA received against content-length.</summary>
    public BodyLength Body;

    /// <summary>The final head has come: what follows are data and trailers.</summary>
    public bool HasHead { get; set; }

    /// <summary>Of the request, for the rules of its response.</summary>
    public RequestMethod Method { get; set; }

    /// <summary>What could not be sent yet, then the end that follows it.</summary>
    public ByteQueue Pending { get; } = new(connection.Loop.Buffers);

    /// <summary>The message ends behind <see cref="Pending"/>.</summary>
    public bool PendingEnd { get; set; }

    /// <summary>Trailers that end the message behind <see cref="Pending"/>.</summary>
    public HeaderBlock? PendingTrailers { get; set; }

    /// <summary>Whether the stream is in the connection's round of those that have something to send.</summary>
    public bool IsQueued { get; set; }

    /// <summary>No frame of the stream will be sent or taken any more.</summary>
    public bool IsOver => State is StreamState.Ended or StreamState.ResetByUs or StreamState.ResetByPeer;

    public bool HasPending => !Pending.IsEmpty || PendingEnd || PendingTrailers is not null;

    public override void SendHead(HeaderBlock fields, in MessageHead head, bool end) => connection.SendHead(this, fields, head, end);

    public override void SendData(ReadOnlySpan<byte> data, bool end) => connection.SendData(this, data, end);

    public override void SendTrailers(HeaderBlock fields) => connection.SendTrailers(this, fields);

    public override void Reset(Http2ErrorCode code) => connection.Reset(this, code);

    public override void Consumed(int bytes) => connection.Consumed(this, bytes);

    /// <summary>Gets ready for another exchange.</summary>
    public void Begin(int id, int sendWindow, int receiveWindow)
    {
        Id = id;
        State = StreamState.Idle;
        SendWindow = new FlowWindow(sendWindow);
        ReceiveWindow = new ReceiveWindow(receiveWindow);
        Held = 0;
        Body = default;
        HasHead = false;
        Method = RequestMethod.Other;
        DropPending();
    }

    public void DropPending()
    {
        Pending.Clear();
        PendingEnd = false;
        PendingTrailers = null;
    }
}
