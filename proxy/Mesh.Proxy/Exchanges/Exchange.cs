using System.Diagnostics;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Requests;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Exchanges;

/// <summary>Who decides about the requests of one client connection, and hears what became of them.</summary>
internal interface IExchangeRoutes
{
    /// <summary>
    /// A request's head has come. It is changed as it is to go on, and then given to <see cref="Exchange.Forward"/>; or refused. Either may happen in
    /// this call or later; later, with a copy.
    /// </summary>
    void OnRequest(Exchange exchange, HeaderBlock fields, in MessageHead head);

    /// <summary>The server that was chosen did not get the request, or must not be held to it: gives another one, or null when there is none to try.</summary>
    Upstream? Another(Exchange exchange);

    /// <summary>
    /// The server has answered with this head, of which nothing was passed on, or not in time (no fields): null when that is the answer, else the
    /// milliseconds after which the request is to be sent again.
    /// </summary>
    long? RetryAfter(Exchange exchange, HeaderBlock? fields, in MessageHead head);

    /// <summary>The head of an answer has come, interim ones too: it is changed as it is to go on to the client.</summary>
    void OnResponse(Exchange exchange, HeaderBlock fields, ref MessageHead head);

    /// <summary>The server that was given last has done for this request what it will: told once for each that was given, before another is asked for.</summary>
    void OnAttemptEnd(Exchange exchange, AttemptOutcome outcome);

    /// <summary>The exchange is over; after this call the object serves another.</summary>
    void OnEnd(Exchange exchange);
}

/// <summary>
/// One request and its answer, between a stream to the client and one to a server: the place where versions meet. Passes on what comes, keeps a
/// short request until an answer has begun, so that a server that never worked on it can be replaced, and answers itself when there is none.
/// </summary>
/// <remarks>Reused from exchange to exchange; lives on the loop. Back-pressure is that of the streams: what one side has not sent, the other is not told to be consumed.</remarks>
internal sealed partial class Exchange : IStreamHandler
{
    /// <summary>Bytes of a request's body that are kept for another try.</summary>
    public const int MaxReplay = 64 * 1024;

    /// <summary>Servers tried for one request: with each one further, its own connect timeout.</summary>
    public const int MaxAttempts = 3;

    private readonly ExchangePool _pool;
    private readonly HeaderBlock _request = new();
    private readonly ByteQueue _body;
    private readonly LoopTimer _timer;
    private IExchangeRoutes _routes = null!;
    private HttpStream? _down;
    private HttpStream? _up;
    private Upstream? _upstream;
    private HeaderBlock? _trailers;
    private MessageHead _head;
    private bool _attempting;
    private bool _waiting;
    private bool _bodyKept;
    private bool _requestEnded;
    private bool _responseEnded;
    private long _received;
    private long _givenBack;
    private long _sentUp;

    internal Exchange(ExchangePool pool)
    {
        _pool = pool;
        _body = new ByteQueue(pool.Loop.Buffers);
        _timer = pool.Loop.Timer(static state => ((Exchange)state!).OnTimer(), this);
    }

    /// <summary>Told apart by who waits for it: a wait that ended leaves its ticket behind.</summary>
    public int Ticket { get; private set; }

    /// <summary>The request as it went on, without its body; until the answer begins.</summary>
    public HeaderBlock Request => _request;

    public MessageHead RequestHead => _head;

    /// <summary>When the head had come, by <see cref="Stopwatch"/>.</summary>
    public long Started { get; private set; }

    /// <summary>When the head of the answer had come; 0 until then.</summary>
    public long Answered { get; private set; }

    /// <summary>Of the answer; 0 when there was none.</summary>
    public int Status { get; private set; }

    /// <summary>What gRPC's own status said; -1 when nothing did.</summary>
    public int GrpcStatus { get; private set; }

    public long RequestBytes => _received;

    public long ResponseBytes { get; private set; }

    /// <summary>Servers tried.</summary>
    public int Attempts { get; private set; }

    /// <summary>The answer that the proxy gave itself, and why.</summary>
    public Refusal? Refusal { get; private set; }

    /// <summary>The client left before its answer was complete.</summary>
    public bool ClientLeft { get; private set; }

    /// <summary>The answer, once begun, was not completed.</summary>
    public bool Broken { get; private set; }

    /// <summary>For <see cref="IExchangeRoutes"/> alone: what it knows of this exchange.</summary>
    public object? Route { get; set; }

    /// <summary>Likewise: what is told of this exchange, when somebody looks.</summary>
    public RequestRecord? Record { get; set; }

    /// <summary>The client speaks gRPC: refusals are told in its way.</summary>
    public bool IsGrpc { get; private set; }

    internal void Begin(HttpStream down, IExchangeRoutes routes)
    {
        (_down, _routes) = (down, routes);
        down.Handler = this;
        _request.Clear();
        _trailers = null;
        (_head, _up, _upstream) = (default, null, null);
        (_attempting, _waiting, _bodyKept, _requestEnded, _responseEnded) = (false, false, true, false, false);
        (_received, _givenBack, _sentUp, ResponseBytes) = (0, 0, 0, 0);
        (Started, Answered, Status, GrpcStatus, Attempts) = (0, 0, 0, -1, 0);
        (Refusal, ClientLeft, Broken, Route, Record, IsGrpc) = (null, false, false, null, null, false);
        ForgetLimits();
    }

    /// <summary>Sends the request on, or waits until the server can take it.</summary>
    public void Forward(Upstream upstream, HeaderBlock fields, in MessageHead head)
    {
        if (_down is null) return;
        _head = head;
        if (!ReferenceEquals(fields, _request)) _request.CopyFrom(fields);
        BeginLimits();
        Try(upstream);
    }

    /// <summary>Answers in the server's place.</summary>
    public void Refuse(Refusal refusal)
    {
        StopWaiting();
        DropRequest();
        if (_down is not { } down) return;
        Refusal = refusal;
        if (Status != 0)
        {
            Broken = true;
            _down = null;
            down.Reset(Http2ErrorCode.InternalError);
            FinishIfOver();
            return;
        }

        Status = IsGrpc ? 200 : refusal.Status;
        if (IsGrpc) GrpcStatus = (int)refusal.Grpc;
        Answered = Stopwatch.GetTimestamp();
        var block = _pool.Scratch;
        block.Clear();
        refusal.WriteTo(block, IsGrpc);
        var withBody = !IsGrpc && _head.Method != RequestMethod.Head;
        _responseEnded = true;
        down.SendHead(block, new MessageHead(RequestMethod.Other, Status, IsGrpc ? null : refusal.Sentence.Length + 1), end: !withBody);
        if (withBody) _pool.SendText(down, refusal.Sentence);
        EndDown();
    }

    /// <summary>Answers by the word of a route: with a head, and no body. The block is borrowed.</summary>
    public void Answer(HeaderBlock answer)
    {
        if (_down is not { } down) return;
        if (FieldSyntax.TryParseNumber(answer.ValueOf(FieldName.Status), out var status)) Status = (int)status;
        ReadGrpcStatus(answer);
        Answered = Stopwatch.GetTimestamp();
        _responseEnded = true;
        if (!IsGrpc && Status is not (204 or 304)) answer.Add(FieldName.ContentLength, "0"u8);
        down.SendHead(answer, new MessageHead(RequestMethod.Other, Status, answer.Contains(FieldName.ContentLength) ? 0 : null), end: true);
        EndDown();
    }

    void IStreamHandler.OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end)
    {
        if (ReferenceEquals(stream, _down))
        {
            Started = Stopwatch.GetTimestamp();
            _requestEnded = end;
            _head = head;
            IsGrpc = fields.ValueOf(FieldName.ContentType).StartsWith("application/grpc"u8);
            _routes.OnRequest(this, fields, head);
        }
        else if (ReferenceEquals(stream, _up))
        {
            OnAnswer(fields, head, end);
        }
    }

    void IStreamHandler.OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end)
    {
        Moved();
        if (ReferenceEquals(stream, _down)) OnRequestData(stream, data, end);
        else if (ReferenceEquals(stream, _up)) OnAnswerData(data, end);
    }

    void IStreamHandler.OnTrailers(HttpStream stream, HeaderBlock fields)
    {
        if (ReferenceEquals(stream, _down))
        {
            _requestEnded = true;
            RequestHasEnded();
            if (_up is null || _bodyKept) (_trailers ??= new HeaderBlock()).CopyFrom(fields);
            _up?.SendTrailers(fields);
        }
        else if (ReferenceEquals(stream, _up))
        {
            ReadGrpcStatus(fields);
            _responseEnded = true;
            _down?.SendTrailers(fields);
        }
    }

    void IStreamHandler.OnSent(HttpStream stream, int bytes)
    {
        if (ReferenceEquals(stream, _down))
        {
            _up?.Consumed(bytes);
            return;
        }

        // What is sent for the second time was given back the first time.
        _sentUp += bytes;
        if (_sentUp <= _givenBack) return;
        var give = (int)(_sentUp - _givenBack);
        _givenBack = _sentUp;
        _down?.Consumed(give);
    }

    void IStreamHandler.OnClosed(HttpStream stream, StreamFault fault)
    {
        if (ReferenceEquals(stream, _down))
        {
            _down = null;
            if (fault.Kind != StreamFaultKind.None) Abandon();
            FinishIfOver();
        }
        else if (ReferenceEquals(stream, _up))
        {
            _up = null;
            _upstream!.Finished();
            OnServerDone(fault);
        }
    }

    /// <summary>The server that was waited for takes the request.</summary>
    internal void OnStream(HttpStream stream)
    {
        StopWaiting();
        Start(stream);
    }

    /// <summary>The server that was waited for cannot be had.</summary>
    internal void OnUnavailable(Refusal why)
    {
        StopWaiting();
        // That we have no certificate is not the server's failure.
        EndAttempt(ReferenceEquals(why, Refusal.NoCertificate) ? AttemptOutcome.Unknown : AttemptOutcome.Failure);
        TryAnother(why);
    }

    private void Try(Upstream upstream)
    {
        _upstream = upstream;
        _attempting = true;
        Attempts++;
        if (upstream.TryOpen(this) is { } stream)
        {
            Start(stream);
            return;
        }

        _waiting = true;
        if (!upstream.TryWait(this))
        {
            _waiting = false;
            Refuse(Refusal.QueueFull);
            return;
        }

        _waitUntil = Now + _pool.FailFastMilliseconds;
        Rearm();
    }

    private void Start(HttpStream stream)
    {
        _up = stream;
        _sentUp = 0;
        _upstream!.Began();
        BeginTry();
        var whole = _requestEnded && _body.IsEmpty && _trailers is null;
        stream.SendHead(_request, _head, whole);
        // Lost while the head was sent: another try may be under way already.
        if (whole || !ReferenceEquals(_up, stream)) return;
        if (!_body.IsEmpty || (_requestEnded && _trailers is null)) _body.SendTo(stream, _requestEnded && _trailers is null);
        if (_requestEnded && _trailers is { } trailers) stream.SendTrailers(trailers);
        if (_body.Size > Replay) ForgetBody();
    }

    private void OnRequestData(HttpStream down, ReadOnlySpan<byte> data, bool end)
    {
        _received += data.Length;
        _requestEnded |= end;
        if (end) RequestHasEnded();
        if (_up is null && !_waiting && !_pausing && (Attempts > 0 || Status != 0))
        {
            // Refused, or answered without being read: what still comes is dropped.
            _givenBack += data.Length;
            down.Consumed(data.Length);
            return;
        }

        if (_up is null)
        {
            _body.Append(data);
            return;
        }

        if (_bodyKept)
        {
            if (_body.Size + data.Length <= Replay) _body.Append(data);
            else ForgetBody();
        }

        _up.SendData(data, end);
    }

    private void OnAnswer(HeaderBlock fields, in MessageHead head, bool end)
    {
        if (_down is not { } down) return;
        Moved();
        if (!head.IsInterim && IsDropped(fields, head)) return;
        var answer = head;
        _routes.OnResponse(this, fields, ref answer);
        if (!answer.IsInterim)
        {
            Status = answer.Status;
            Answered = Stopwatch.GetTimestamp();
            _responseEnded = end;
            _attemptUntil = Never;
            ForgetBody();
            if (IsGrpc) ReadGrpcStatus(fields);
        }

        down.SendHead(fields, answer, end);
    }

    private void OnAnswerData(ReadOnlySpan<byte> data, bool end)
    {
        ResponseBytes += data.Length;
        _responseEnded |= end;
        if (_down is { } down) down.SendData(data, end);
        else _up!.Consumed(data.Length);
    }

    private void OnServerDone(StreamFault fault)
    {
        EndAttempt(Outcome(fault));
        if (_down is null || _responseEnded)
        {
            EndDown();
            return;
        }

        var why = fault.Kind switch
        {
            StreamFaultKind.Malformed => Refusal.BadResponse,
            StreamFaultKind.ResetByPeer => Refusal.ServerReset,
            _ => Refusal.ConnectionLost,
        };
        if (Status != 0)
        {
            var down = _down;
            Refusal = why;
            Broken = true;
            _down = null;
            down.Reset(fault.Kind == StreamFaultKind.ResetByPeer ? fault.Code : Http2ErrorCode.InternalError);
            FinishIfOver();
            return;
        }

        // A server that was never asked may be replaced by any; one that may have worked on the request only if asking twice does no harm.
        var again = fault.Kind == StreamFaultKind.Refused
            || (fault.Kind == StreamFaultKind.ConnectionLost && RequestMethods.IsIdempotent(_head.Method));
        if (again && _bodyKept) TryAnother(why);
        else Refuse(why);
    }

    private void TryAnother(Refusal why)
    {
        if (Attempts - Retries < MaxAttempts && _down is not null && _routes.Another(this) is { } other) Try(other);
        else Refuse(why);
    }

    /// <summary>The answer is complete. A client that is still sending is told to stop: nobody reads it.</summary>
    private void EndDown()
    {
        if (_down is { } down && !_requestEnded && _up is null)
        {
            _down = null;
            down.Reset(Http2ErrorCode.NoError);
        }

        FinishIfOver();
    }

    /// <summary>The client has left: nobody waits for the answer.</summary>
    private void Abandon()
    {
        ClientLeft = !_responseEnded;
        StopWaiting();
        DropRequest();
    }

    private void DropRequest()
    {
        EndAttempt(AttemptOutcome.Unknown);
        if (_up is not { } up) return;
        _up = null;
        up.Reset(Http2ErrorCode.Cancel);
        _upstream!.Finished();
    }

    private AttemptOutcome Outcome(StreamFault fault)
    {
        if (_responseEnded) return HttpStatusCounters.IsFailure(Status, GrpcStatus) ? AttemptOutcome.Failure : AttemptOutcome.Success;
        return fault.Kind is StreamFaultKind.Refused or StreamFaultKind.Stopped ? AttemptOutcome.Unknown : AttemptOutcome.Failure;
    }

    private void EndAttempt(AttemptOutcome outcome)
    {
        if (!_attempting) return;
        _attempting = false;
        (_attemptUntil, _idleUntil) = (Never, Never);
        _routes.OnAttemptEnd(this, outcome);
    }

    private void StopWaiting()
    {
        _waitUntil = Never;
        _pausing = false;
        if (!_waiting) return;
        _waiting = false;
        Ticket++;
    }

    private void ForgetBody()
    {
        _bodyKept = false;
        _body.Clear();
    }

    private void ReadGrpcStatus(HeaderBlock fields) => GrpcStatus = GrpcStatusOf(fields) is >= 0 and var status ? status : GrpcStatus;

    internal static int GrpcStatusOf(HeaderBlock fields) =>
        fields.Contains(FieldName.GrpcStatus) && FieldSyntax.TryParseNumber(fields.ValueOf(FieldName.GrpcStatus), out var status) && status <= 16 ? (int)status : -1;

    private void FinishIfOver()
    {
        if (_down is not null || _up is not null || _waiting || Started == 0) return;
        _timer.Stop();
        _routes.OnEnd(this);
        Started = 0;
        _body.Clear();
        Ticket++;
        _pool.Return(this);
    }
}
