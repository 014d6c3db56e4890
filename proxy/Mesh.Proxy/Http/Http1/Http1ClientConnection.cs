using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>Whoever keeps connections to a server.</summary>
internal interface IHttp1Owner
{
    /// <summary>The connection can take a request.</summary>
    void OnIdle(Http1ClientConnection connection);
}

/// <summary>
/// An HTTP/1 connection to a server: one request at a time, as long as both sides keep it alive. What a server sends unasked, or beyond what it
/// promised, ends the connection: nothing is ever taken for the answer to another request.
/// </summary>
internal sealed class Http1ClientConnection(Transport transport, IHttp1Owner owner, Http1Options options) : Http1Connection(transport)
{
    private readonly ResponseHeadParser _parser = new();
    private RequestMethod _method;
    private bool _headBegun;
    private bool _keepsAlive;
    private int _exchanges;
    private bool _stopping;

    /// <summary>Whether <see cref="Open"/> may be called.</summary>
    public bool IsIdle => !IsActive && Ended is null && !_stopping && !Transport.Socket.HungUp;

    /// <summary>By the loop's clock, when it became idle.</summary>
    public long IdleSince { get; private set; } = transport.Loop.Now;

    protected override bool WantsInput => !IsActive || (_awaitsHead ? HasBegunSending : WantsBody);

    private bool HasBegunSending { get; set; }

    private bool _awaitsHead;

    /// <summary>Serves until the connection has ended. The transport is left for the caller to close.</summary>
    public async ValueTask<Http1End> RunAsync()
    {
        try
        {
            return await ServeAsync();
        }
        finally
        {
            Fail(StreamFaultKind.ConnectionLost);
        }
    }

    /// <summary>Takes a request, whose head is sent next. Only when <see cref="IsIdle"/>.</summary>
    public HttpStream Open(IStreamHandler handler)
    {
        if (!IsIdle) throw new InvalidOperationException("The connection has a request, or has ended.");
        BeginExchange();
        Handler = handler;
        HasBegunSending = false;
        _awaitsHead = true;
        _headBegun = false;
        return this;
    }

    /// <summary>Ends the connection after the exchange that is under way, or now when there is none.</summary>
    public void Stop()
    {
        _stopping = true;
        if (!IsActive) End(new Http1End(Http1EndKind.Closed));
    }

    public override void SendHead(HeaderBlock fields, in MessageHead head, bool end)
    {
        if (!IsActive || HasBegunSending) return;
        _method = head.Method;
        HasBegunSending = true;
        var form = RequestTranslation.ToHttp1(fields, head, end ? FrameFlags.EndStream : FrameFlags.None);
        if (HeadWriter.TryWriteRequest(fields, form, Output.Reserve(HeadWriter.MaxSize(fields)), out var written)) Output.Commit(written);
        BeginSending(form.Framing);
        if (end) WriteEnd(null);
    }

    public override void Reset(Http2ErrorCode code)
    {
        if (!IsActive) return;
        IsActive = false;
        // A request that was never begun leaves the connection as it was.
        if (HasBegunSending) End(new Http1End(Http1EndKind.Aborted));
        else BecomeIdle();
    }

    protected override bool TakeHead(ReadOnlySpan<byte> input, out int taken)
    {
        taken = 0;
        if (!IsActive)
        {
            // Nobody asked.
            End(new Http1End(Http1EndKind.Malformed));
            return false;
        }

        if (!_headBegun)
        {
            _headBegun = true;
            Fields.Clear();
            _parser.Reset();
        }

        switch (_parser.Parse(input, _method, Fields, out taken))
        {
            case HeadStatus.NeedMore:
                return taken > 0;
            case HeadStatus.Refused:
                OnBadBody(_parser.Fault);
                return true;
            default:
                TakeResponse(_parser.Head);
                return true;
        }
    }

    protected override void OnEndOfInput(IoStatus status)
    {
        if (status == IoStatus.End && TryEndWithInput())
        {
            // A tunnel may go on in the other direction; anything else is over.
            if (!IsTunnel) End(new Http1End(Http1EndKind.Closed));
            return;
        }

        var inMessage = IsActive;
        Fail(StreamFaultKind.ConnectionLost, wasIdle: _exchanges > 0 && _awaitsHead && !_headBegun);
        End(new Http1End(inMessage ? Http1EndKind.Lost : Http1EndKind.Closed, Status: status));
    }

    protected override void OnWriteFailed(IoStatus status)
    {
        // The server may have answered before it closed: what it said is read first. Then the end is met there.
        _stopping = true;
        if (IsActive && !HasSent) HasSent = true;
    }

    protected override void OnBadBody(Http1Fault fault)
    {
        options.Faulted?.Invoke(fault);
        Fail(StreamFaultKind.Malformed);
        End(new Http1End(Http1EndKind.Malformed, fault));
    }

    protected override void OnProgress()
    {
        if (!HasReceived) return;
        if (IsTunnel && !HasSent) return;
        // A server that has answered without reading the whole request does not read it any more.
        var reusable = HasSent && _keepsAlive && !IsTunnel && !_stopping && !HasInput;
        _exchanges++;
        Finish();
        if (reusable && Ended is null) BecomeIdle();
        else End(new Http1End(Http1EndKind.Closed));
    }

    private void TakeResponse(in ResponseHead head)
    {
        _headBegun = false;
        var message = ResponseTranslation.FromHttp1(Fields, head);
        if (message.IsInterim)
        {
            Handler.OnHead(this, Fields, message, end: false);
            return;
        }

        _awaitsHead = false;
        _keepsAlive = head.KeepsAlive;
        if (head.Framing.Kind == BodyKind.Tunnel)
        {
            BeginTunnel();
            Handler.OnHead(this, Fields, message, end: false);
            return;
        }

        var ends = head.Framing.Kind == BodyKind.None || head.Framing == BodyFraming.OfLength(0);
        HasReceived = ends;
        Handler.OnHead(this, Fields, message, ends);
        if (!IsActive) return;
        if (ends) OnProgress();
        else BeginBody(head.Framing);
    }

    private void BecomeIdle()
    {
        IdleSince = Transport.Loop.Now;
        owner.OnIdle(this);
    }
}
