using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>
/// The connection of a client: reads requests one after the other and writes their responses (RFC 9112). While one is answered the next is not
/// looked at; that the client is gone is noticed all the same.
/// </summary>
internal sealed partial class Http1ServerConnection : Http1Connection
{
    private readonly IRequestHandler _requests;
    private readonly Http1Options _options;
    private readonly RequestHeadParser _parser = new();
    private readonly LoopTimer _timer;
    private RequestHead _request;
    private Reading _reading;
    private Http1End _closing;
    private int _wasted;
    private bool _headBegun;
    private bool _keepAlive;
    private bool _continued;
    private bool _draining;

    public Http1ServerConnection(Transport transport, IRequestHandler requests, Http1Options options)
        : base(transport)
    {
        (_requests, _options) = (requests, options);
        _timer = transport.Loop.Timer(static state => ((Http1ServerConnection)state!).OutOfTime(), this);
        Arm(_options.IdleTimeout);
    }

    private enum Reading : byte
    {
        Head,

        /// <summary>A body or a tunnel. Without an exchange: the rest of a request that has been answered.</summary>
        Body,

        /// <summary>Nothing until the response says what follows.</summary>
        Nothing,

        /// <summary>Whatever comes, to drop it: the last response has been given.</summary>
        Waste,
    }

    public override HttpVersion Version => _request.Version;

    protected override bool MindsDeath => true;

    protected override bool MayTake => !HasEnded && _reading switch
    {
        // Responses to pipelined requests must not pile up for a client that does not read them.
        Reading.Head => !Output.IsCongested,
        Reading.Body => HasRoomForData,
        Reading.Waste => true,
        _ => false,
    };

    /// <summary>The running exchange is the last, and says so if its head has not been sent; an idle connection closes at once.</summary>
    public void BeginDrain()
    {
        _draining = true;
        if (_reading == Reading.Head && IsIdle) End(new Http1End(Http1EndKind.Drained), abort: false);
    }

    public override void SendHead(HeaderBlock fields, in MessageHead head, bool end)
    {
        if (!IsBusy) return;
        if (Outgoing.HasStarted) throw new InvalidOperationException("The head of a response was sent twice.");
        if (head.Status == 101 && !_request.AsksForUpgrade) throw new InvalidOperationException("The protocol is changed and nobody asked for it.");
        // Clients of HTTP/1.0 do not know interim responses (RFC 9110 section 15.2).
        if (head.IsInterim && _request.Version == HttpVersion.Http10) return;
        _keepAlive = MayKeepAlive(end);
        var form = ResponseTranslation.ToHttp1(fields, head, _request, _keepAlive, end);
        Write(fields, form);
        if (head.IsInterim)
        {
            _continued |= head.Status == 100;
            return;
        }

        Outgoing.Start(form.Framing);
        if (form.Framing.Kind == BodyKind.Tunnel)
        {
            _reading = Reading.Body;
            Incoming.Start(BodyFraming.Tunnel);
            Resume();
        }

        if (form.Framing.Kind is BodyKind.Tunnel or BodyKind.UntilClose) _keepAlive = false;
        if (end) SendData(default, end: true);
    }

    public override void OnWriteFailed(IoStatus status)
    {
        if (!HasEnded) Lose(Http1End.Of(status), Http1End.FaultOf(status));
    }

    protected override bool Take()
    {
        while (MayTake && Input.Length > 0)
        {
            if (_reading == Reading.Head)
            {
                if (!TakeHead()) return true;
            }
            else if (_reading == Reading.Body)
            {
                var length = Input.Length;
                if (TakeBody() is var fault and not Http1Fault.None) MalformedBody(fault);
                else if (!IsBusy && _reading == Reading.Body) Waste(length - Input.Length);
                // The line of a trailer that is not complete.
                if (Input.Length == length) return true;
            }
            else
            {
                Waste(Input.Length);
                Input.Consume(Input.Length);
            }
        }

        return Input.Length == 0;
    }

    protected override void InputEnded(IoStatus status)
    {
        if (_reading == Reading.Waste)
        {
            End(_closing, abort: false);
        }
        else if (_reading == Reading.Head)
        {
            if (!IsIdle || status == IoStatus.Closed) End(Http1End.Of(status), abort: true);
            else End(status == IoStatus.Reset ? Http1End.Of(status) : new Http1End(Http1EndKind.PeerLeft), abort: status != IoStatus.End);
        }
        else if (status == IoStatus.End && IsBusy && Incoming.Kind == BodyKind.Tunnel)
        {
            IncomingEnded();
            Handler.OnData(this, default, end: true);
            if (IsBusy && Outgoing.HasEnded) OutgoingEnded();
        }
        else if (status == IoStatus.End && !IsBusy)
        {
            // The rest of a request that has been answered will not come.
            End(new Http1End(Http1EndKind.Closed), abort: false);
        }
        else
        {
            Lose(Http1End.Of(status), Http1End.FaultOf(status));
        }
    }

    protected override void IncomingEnded()
    {
        _reading = Reading.Nothing;
        if (!IsBusy) NextRequest();
    }

    protected override void OutgoingEnded()
    {
        // The other direction of a tunnel.
        if (Outgoing.Kind == BodyKind.Tunnel && _reading == Reading.Body) return;
        var handler = CloseStream();
        if (!_keepAlive) Close(new Http1End(_draining ? Http1EndKind.Drained : Http1EndKind.Closed));
        else if (_reading == Reading.Nothing) NextRequest();
        else Arm(_options.Linger);
        handler.OnClosed(this, StreamFault.None);
        Resume();
    }

    protected override void Stopping() => _timer.Stop();

    private bool IsIdle => Input.Length == 0 && !_parser.HasStarted;

    private bool TakeHead()
    {
        var block = Block;
        var status = _parser.Parse(Input.Bytes, block, out var consumed);
        Input.Consume(consumed);
        if (status == HeadStatus.NeedMore)
        {
            if (IsIdle) ReleaseBlock();
            else if (!_headBegun) Arm(_options.HeadTimeout);
            // From the first byte on, whatever trickles in later.
            _headBegun = !IsIdle;
            return false;
        }

        _timer.Stop();
        _headBegun = false;
        if (status == HeadStatus.Refused) Refuse(Http1Faults.Status(_parser.Fault), Http1Faults.Sentence(_parser.Fault), new Http1End(Http1EndKind.Malformed, _parser.Fault));
        else Begin(block);
        return true;
    }

    private void Begin(HeaderBlock block)
    {
        _request = _parser.Head;
        _parser.Reset();
        var head = RequestTranslation.FromHttp1(block, _request);
        var hasBody = _request.Framing.Kind == BodyKind.Chunked || _request.Framing.Length > 0;
        (_reading, _continued, _wasted) = (hasBody ? Reading.Body : Reading.Nothing, false, 0);
        Incoming.Start(_request.Framing);
        OpenStream();
        _requests.Accept(this);
        Handler.OnHead(this, block, head, end: !hasBody && !_request.AsksForTunnel);
        ReleaseBlock();
    }

    /// <summary>Whether the client may send another request after this one, as far as is known when the response begins.</summary>
    private bool MayKeepAlive(bool end)
    {
        // What a client sends behind a CONNECT is meant for the tunnel, and must not be read as a request when there is none.
        if (_draining || !_request.KeepsAlive || _request.Method == RequestMethod.Connect) return false;
        if (_reading != Reading.Body) return true;
        // A client that waits for 100 may send its body now or not at all, and one whose request is answered in full will hardly go on.
        if (_request.ExpectsContinue && !_continued) return false;
        return !end || (Incoming.Kind == BodyKind.Length && Incoming.Left <= Input.Length);
    }

    private void NextRequest()
    {
        _reading = Reading.Head;
        if (_draining) Close(new Http1End(Http1EndKind.Drained));
        else Arm(_options.IdleTimeout);
    }

    private void Write(HeaderBlock fields, in HeadForm form)
    {
        if (Output.HasFailed) return;
        if (!HeadWriter.TryWriteResponse(fields, form, Output.Reserve(HeadWriter.MaxSize(fields)), out var written))
            throw new InvalidOperationException("A head is longer than its size.");
        Output.Commit(written);
    }
}
