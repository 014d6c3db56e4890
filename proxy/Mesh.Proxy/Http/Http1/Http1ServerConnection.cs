using System.Globalization;
using System.Text;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>
/// An HTTP/1 connection of a client (RFC 9112): its requests, one after the other. Those that come before the answer to the one before are kept and
/// served in order. What could be understood in two ways is answered with 400 and ends the connection.
/// </summary>
internal sealed class Http1ServerConnection : Http1Connection
{
    private readonly IRequestHandler _requests;
    private readonly Http1Options _options;
    private readonly RequestHeadParser _parser = new();
    private readonly LoopTimer _headDeadline;
    private RequestHead _head;
    private bool _headBegun;
    private bool _awaitsTunnel;
    private bool _answered;
    private bool _closes;
    private bool _draining;

    public Http1ServerConnection(Transport transport, IRequestHandler requests, Http1Options options)
        : base(transport)
    {
        (_requests, _options) = (requests, options);
        _headDeadline = transport.Loop.Timer(static state => ((Http1ServerConnection)state!).HeadTimedOut(), this);
    }

    protected override bool WantsInput => IsActive ? WantsBody : !_closes;

    /// <summary>Serves until the connection has ended. The transport is left for the caller to close.</summary>
    public async ValueTask<Http1End> RunAsync()
    {
        try
        {
            return await ServeAsync();
        }
        finally
        {
            _headDeadline.Stop();
            Fail(StreamFaultKind.Stopped);
        }
    }

    /// <summary>Ends the connection after the answer that is under way, or now when there is none.</summary>
    public void BeginDrain()
    {
        _draining = true;
        if (!IsActive && !_headBegun) End(new Http1End(Http1EndKind.Closed));
    }

    public override void SendHead(HeaderBlock fields, in MessageHead head, bool end)
    {
        if (!IsActive || HasSent) return;
        if (head.IsInterim)
        {
            // HTTP/1.0 knows none (RFC 9110 section 15.2).
            if (_head.Version == Http1Version.Http11) WriteHead(fields, ResponseTranslation.ToHttp1(fields, head, _head, FrameFlags.None));
            return;
        }

        var form = ResponseTranslation.ToHttp1(fields, head, _head, end ? FrameFlags.EndStream : FrameFlags.None);
        if (form.Framing.Kind == BodyKind.Tunnel)
        {
            WriteHead(fields, form);
            _answered = true;
            _awaitsTunnel = false;
            BeginTunnel();
            return;
        }

        // What was to follow an upgrade that was declined does not.
        if (_awaitsTunnel) DeclineTunnel();
        if (_draining || _closes || (!HasReceived && end)) form = form with { Connection = ConnectionOptions.Close };
        _closes |= form.Connection == ConnectionOptions.Close || form.Framing.Kind == BodyKind.UntilClose;
        WriteHead(fields, form);
        _answered = true;
        BeginSending(form.Framing);
        if (end || form.Framing.Kind == BodyKind.None || form.Framing == BodyFraming.OfLength(0)) WriteEnd(null);
    }

    public override void Reset(Http2ErrorCode code)
    {
        if (!IsActive) return;
        IsActive = false;
        // The answer is out and complete: the client gets to read it. Otherwise it must see that there is none, or only a part.
        End(new Http1End(HasSent ? Http1EndKind.Closed : Http1EndKind.Aborted));
    }

    protected override bool TakeHead(ReadOnlySpan<byte> input, out int taken)
    {
        if (!_headBegun)
        {
            _headBegun = true;
            Fields.Clear();
            _parser.Reset();
            _headDeadline.Arm((long)_options.HeadTimeout.TotalMilliseconds);
        }

        switch (_parser.Parse(input, Fields, out taken))
        {
            case HeadStatus.NeedMore:
                return taken > 0;
            case HeadStatus.Refused:
                Refuse(_parser.Fault);
                return true;
            default:
                _headDeadline.Stop();
                BeginRequest(_parser.Head);
                return true;
        }
    }

    protected override void OnEndOfInput(IoStatus status)
    {
        if (status == IoStatus.End && TryEndWithInput()) return;
        if (IsActive)
        {
            // The body was not complete; without a body, the client may still wait for its answer, and this is not called.
            Fail(StreamFaultKind.ConnectionLost);
            End(new Http1End(Http1EndKind.Lost, Status: status));
            return;
        }

        End(new Http1End(status == IoStatus.End && !_headBegun ? Http1EndKind.Closed : Http1EndKind.Lost, Status: status));
    }

    protected override void OnWriteFailed(IoStatus status)
    {
        Fail(StreamFaultKind.ResetByPeer);
        End(new Http1End(Http1EndKind.Lost, Status: status));
    }

    protected override void OnHangUp()
    {
        // A FIN says that no request follows; the answer may still be wanted. A reset says that nothing is.
        if (IsActive && Transport.Socket.IsDead) OnWriteFailed(IoStatus.Reset);
    }

    protected override void OnBadBody(Http1Fault fault)
    {
        var answered = _answered;
        Fail(StreamFaultKind.Malformed);
        if (answered)
        {
            _options.Faulted?.Invoke(fault);
            End(new Http1End(Http1EndKind.Malformed, fault));
        }
        else
        {
            Refuse(fault);
        }
    }

    protected override void OnProgress()
    {
        if (!HasSent) return;
        if (!HasReceived)
        {
            // Who answers before it has read all may read on; the connection has no further use after it.
            _closes = true;
            return;
        }

        Finish();
        _headBegun = false;
        if (_closes || _draining || IsTunnel) End(new Http1End(Http1EndKind.Closed));
        else Wake();
    }

    private void BeginRequest(in RequestHead head)
    {
        _head = head;
        _closes = !head.KeepsAlive;
        _answered = false;
        BeginExchange();
        var message = RequestTranslation.FromHttp1(Fields, head);
        _awaitsTunnel = head.AsksForUpgrade || head.Method == RequestMethod.Connect;
        var hasBody = head.Framing.Kind != BodyKind.None && head.Framing != BodyFraming.OfLength(0);
        HasReceived = !hasBody && !_awaitsTunnel;
        _requests.Accept(this);
        Handler.OnHead(this, Fields, message, end: HasReceived);
        if (IsActive && hasBody) BeginBody(head.Framing);
    }

    private void DeclineTunnel()
    {
        _awaitsTunnel = false;
        if (ReceivesBody) return;
        HasReceived = true;
        Handler.OnData(this, default, end: true);
    }

    private void WriteHead(HeaderBlock fields, in HeadForm form)
    {
        if (HeadWriter.TryWriteResponse(fields, form, Output.Reserve(HeadWriter.MaxSize(fields)), out var written)) Output.Commit(written);
    }

    private void HeadTimedOut()
    {
        if (IsActive || !_headBegun) return;
        WriteRefusal(408, "The head of the request was not complete in time.");
        End(new Http1End(Http1EndKind.HeadTimeout));
    }

    private void Refuse(Http1Fault fault)
    {
        _options.Faulted?.Invoke(fault);
        WriteRefusal(Http1Faults.Status(fault), Http1Faults.Sentence(fault));
        End(new Http1End(Http1EndKind.Malformed, fault));
    }

    private void WriteRefusal(int status, string sentence)
    {
        Fields.Clear();
        Fields.Add(FieldName.Status, Encoding.ASCII.GetBytes(status.ToString(CultureInfo.InvariantCulture)));
        Fields.Add(FieldName.ContentType, "text/plain"u8);
        Fields.Add(FieldName.L5dProxyError, Encoding.ASCII.GetBytes(sentence));
        WriteHead(Fields, new HeadForm(Http1Version.Http11, BodyFraming.OfLength(sentence.Length + 1)) { Connection = ConnectionOptions.Close });
        Output.Append(Encoding.ASCII.GetBytes(sentence + "\n"));
    }
}
