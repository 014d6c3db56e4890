using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>Whoever keeps connections to servers for later requests. Called on the loop.</summary>
internal interface IHttp1ClientOwner
{
    /// <summary>The connection can take a request: an exchange has ended, and the connection is as good as new. Comes after the exchange was told.</summary>
    void OnIdle(Http1ClientConnection connection);

    /// <summary>The connection takes no request any more. Comes once, before an exchange on it is told, so that another try does not find it.</summary>
    void OnClosed(Http1ClientConnection connection);
}

/// <summary>
/// A connection to a server: writes one request at a time and reads its response (RFC 9112). It is used again only if both were complete and nothing
/// else has come; in doubt it is closed.
/// </summary>
internal sealed class Http1ClientConnection(Transport transport, IHttp1ClientOwner owner) : Http1Connection(transport)
{
    /// <summary>Interim responses to one request. Each is passed on, whatever room there is for it.</summary>
    public const int MaxInterim = 64;

    private readonly ResponseHeadParser _parser = new();
    private MessageHead _request;
    private ResponseHead _response;
    private Reading _reading;
    private int _interim;
    private bool _answered;
    private bool _draining;
    private bool _closed;

    private enum Reading : byte
    {
        /// <summary>Between exchanges nothing may come but the end.</summary>
        Idle,
        Head,
        Body,

        /// <summary>The response has been read; in a tunnel, the other direction goes on.</summary>
        Nothing,
    }

    public override HttpVersion Version => _response.Version;

    /// <summary>Whether <see cref="TryOpen"/> will give a stream.</summary>
    public bool IsIdle => !_closed && _reading == Reading.Idle;

    protected override bool MindsDeath => false;

    protected override bool MayTake => !HasEnded && _reading switch
    {
        Reading.Body => HasRoomForData,
        Reading.Nothing => false,
        _ => true,
    };

    /// <summary>A stream for one request, or null when the connection cannot take one.</summary>
    public HttpStream? TryOpen(IStreamHandler handler)
    {
        if (!IsIdle) return null;
        (_reading, _interim, _answered, _request) = (Reading.Head, 0, false, default);
        OpenStream();
        Handler = handler;
        return this;
    }

    /// <summary>No request is taken after the running one; an idle connection closes at once.</summary>
    public void BeginDrain()
    {
        _draining = true;
        if (IsIdle) End(new Http1End(Http1EndKind.Drained), abort: false);
    }

    public override void SendHead(HeaderBlock fields, in MessageHead head, bool end)
    {
        if (!IsBusy) return;
        if (Outgoing.HasStarted) throw new InvalidOperationException("The head of a request was sent twice.");
        _request = head;
        var form = RequestTranslation.ToHttp1(fields, head, end);
        if (!Output.HasFailed)
        {
            if (!HeadWriter.TryWriteRequest(fields, form, Output.Reserve(HeadWriter.MaxSize(fields)), out var written))
                throw new InvalidOperationException("A head is longer than its size.");
            Output.Commit(written);
        }

        Outgoing.Start(form.Framing);
        if (end) SendData(default, end: true);
    }

    public override void Reset(Http2ErrorCode code)
    {
        if (IsBusy && !Outgoing.HasStarted && !_draining && !_closed)
        {
            // The server knows nothing of it.
            CloseStream();
            _reading = Reading.Idle;
            owner.OnIdle(this);
            return;
        }

        base.Reset(code);
    }

    public override void OnWriteFailed(IoStatus status)
    {
        // What the server said before it stopped listening is still to be read, and then how it left. Until then the request goes nowhere.
        if (_reading == Reading.Nothing) Lose(Http1End.Of(status), Http1End.FaultOf(status));
        else OnRoom();
    }

    protected override bool Take()
    {
        while (MayTake && Input.Length > 0)
        {
            if (_reading == Reading.Body)
            {
                var length = Input.Length;
                if (Incoming.Kind == BodyKind.Length && length > Incoming.Left) Malformed(Http1Fault.BodyTooLong);
                else if (TakeBody() is var fault and not Http1Fault.None) Malformed(fault);
                else if (_reading == Reading.Nothing && IsBusy) Answered();
                if (Input.Length == length) return true;
            }
            else if (_reading == Reading.Head && Outgoing.HasStarted)
            {
                if (!TakeHead()) return true;
            }
            else
            {
                Lose(new Http1End(Http1EndKind.Unexpected), new StreamFault(StreamFaultKind.Refused, Http2ErrorCode.RefusedStream));
            }
        }

        return Input.Length == 0;
    }

    protected override void InputEnded(IoStatus status)
    {
        // A failed write takes the news of a reset away from the reader, who sees an end.
        if (Output.Size > 0) Output.Flush();
        if (HasEnded) return;
        if (status == IoStatus.End && Output.HasFailed) status = IoStatus.Reset;

        if (_reading == Reading.Idle)
        {
            End(status is IoStatus.Reset or IoStatus.Closed ? Http1End.Of(status) : new Http1End(Http1EndKind.PeerLeft), abort: status != IoStatus.End);
        }
        else if (status == IoStatus.End && _reading == Reading.Body && Incoming.Kind is BodyKind.UntilClose or BodyKind.Tunnel)
        {
            IncomingEnded();
            Handler.OnData(this, default, end: true);
            if (IsBusy) Answered();
        }
        else
        {
            Lose(Http1End.Of(status), FaultBefore(status));
        }
    }

    protected override void IncomingEnded() => _reading = Reading.Nothing;

    protected override void OutgoingEnded()
    {
        if (Outgoing.Kind == BodyKind.Tunnel && _reading == Reading.Nothing) Answered();
    }

    protected override void Stopping() => SayClosed();

    protected override void End(Http1End end, bool abort)
    {
        base.End(end, abort);
        SayClosed();
    }

    private void SayClosed()
    {
        if (_closed) return;
        _closed = true;
        owner.OnClosed(this);
    }

    private bool TakeHead()
    {
        var block = Block;
        _answered = true;
        var status = _parser.Parse(Input.Bytes, _request.Method, block, out var consumed);
        Input.Consume(consumed);
        if (status == HeadStatus.NeedMore) return false;
        if (status == HeadStatus.Refused) Malformed(_parser.Fault);
        else Deliver(block);
        return true;
    }

    private void Deliver(HeaderBlock block)
    {
        _response = _parser.Head;
        _parser.Reset();
        if (_response.Status == 101 && !_request.IsUpgrade)
        {
            Malformed(Http1Fault.UnexpectedUpgrade);
            return;
        }

        if (_response.IsInterim && ++_interim > MaxInterim)
        {
            Malformed(Http1Fault.TooManyInterim);
            return;
        }

        var framing = _response.Framing;
        var end = !_response.IsInterim && (framing.Kind == BodyKind.None || framing == BodyFraming.OfLength(0));
        if (end && framing.Kind == BodyKind.Length && Input.Length > 0)
        {
            Malformed(Http1Fault.BodyTooLong);
            return;
        }

        if (!_response.IsInterim)
        {
            _reading = end ? Reading.Nothing : Reading.Body;
            Incoming.Start(framing);
            if (framing.Kind == BodyKind.Tunnel && Outgoing.Kind != BodyKind.Tunnel) Outgoing.Start(BodyFraming.Tunnel);
        }

        Handler.OnHead(this, block, ResponseTranslation.FromHttp1(block, _response), end);
        ReleaseBlock();
        if (end && IsBusy) Answered();
    }

    /// <summary>The response has been delivered to its end. That ends the exchange, but for a tunnel, whose directions end by themselves.</summary>
    private void Answered()
    {
        if (_response.Framing.Kind == BodyKind.Tunnel && !Outgoing.HasEnded) return;
        // Who asks for a tunnel and gets none has nothing more to say, but may have said too much.
        var askedForTunnel = _request.IsUpgrade || _request.Method == RequestMethod.Connect;
        var early = _response.Framing.Kind != BodyKind.Tunnel && (Output.Size > 0 || !(Outgoing.HasEnded || askedForTunnel));
        var reusable = !early && !askedForTunnel && !_draining && _response.KeepsAlive && Input.Length == 0 && !Output.HasFailed;
        var handler = CloseStream();
        _reading = Reading.Idle;
        if (!reusable) End(new Http1End(early ? Http1EndKind.AnsweredEarly : Http1EndKind.Closed), abort: early);
        handler.OnClosed(this, StreamFault.None);
        if (IsIdle) owner.OnIdle(this);
    }

    private void Malformed(Http1Fault fault) =>
        Lose(new Http1End(Http1EndKind.Malformed, fault), new StreamFault(StreamFaultKind.Malformed, Http2ErrorCode.ProtocolError));

    /// <summary>What the end of the connection is to a request whose response is not complete.</summary>
    private StreamFault FaultBefore(IoStatus status)
    {
        if (status == IoStatus.Closed) return Http1End.FaultOf(status);
        if (!Outgoing.HasStarted) return new StreamFault(StreamFaultKind.Refused, Http2ErrorCode.RefusedStream);
        if (!_answered && Exchanges > 1) return new StreamFault(StreamFaultKind.ConnectionLost, Http2ErrorCode.ConnectError) { WasIdle = true };
        return Http1End.FaultOf(status);
    }
}
