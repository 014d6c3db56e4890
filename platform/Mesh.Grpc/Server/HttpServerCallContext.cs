using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Mesh.Grpc.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace Mesh.Grpc.Server;

/// <summary>One call over one HTTP/2 stream: reads and writes its messages, watches its deadline, ends it exactly once.</summary>
internal sealed class HttpServerCallContext : ServerCallContext
{
    private static readonly Status DeadlinePassed = new(StatusCode.DeadlineExceeded, "The deadline has passed.");
    private static readonly Status ServerStops = new(StatusCode.Unavailable, "The server is stopping.");
    private static readonly Status ClientLeft = new(StatusCode.Cancelled, "The client ended the call.");
    private static readonly StringValues[] StatusTexts = Enumerable.Range(0, 17).Select(i => new StringValues(i.ToString(null, null))).ToArray();

    private readonly IMethod _method;
    private readonly CallSurroundings _surroundings;
    private readonly int _receiveLimit;
    private readonly PipeReader _bodyReader;
    private readonly PipeWriter _bodyWriter;
    private readonly Lock _lock = new();

    private Metadata? _requestHeaders;
    private Metadata? _responseTrailers;
    private FrameWriter? _writer;
    private FramePayload? _payload;
    private MessageEncoding? _requestEncoding;
    private MessageEncoding? _responseEncoding;
    private ITimer? _deadlineTimer;
    private CancellationTokenSource? _cancellation;
    private DateTime _deadline = DateTime.MaxValue;
    private Task? _endedEarly;
    private Task? _cancelled;
    private TaskCompletionSource? _writeLeft;
    private Phase _phase;
    private Status? _interruption;
    private CancellationTokenRegistration _stopRegistration;
    private bool _endsOnStop;
    private bool _wroteMessage;

    public HttpServerCallContext(HttpContext http, IMethod method, CallSurroundings surroundings)
    {
        Http = http;
        _method = method;
        _surroundings = surroundings;
        _receiveLimit = surroundings.Options.MaxReceiveMessageSize ?? int.MaxValue;
        _bodyReader = http.Request.BodyReader;
        _bodyWriter = http.Response.BodyWriter;
    }

    private enum Phase
    {
        Open,
        Writing,
        Ended,
    }

    public HttpContext Http { get; }

    /// <summary>Why the method was, or is being, interrupted, as a status; null when it was not.</summary>
    public Status? InterruptedBy => _interruption ?? (Http.RequestAborted.IsCancellationRequested ? ClientLeft : null);

    protected override string MethodCore => _method.FullName;
    protected override string HostCore => Http.Request.Host.Value ?? "";
    protected override DateTime DeadlineCore => _deadline;
    protected override Status StatusCore { get; set; }
    protected override WriteOptions? WriteOptionsCore { get; set; }
    protected override Metadata ResponseTrailersCore => _responseTrailers ??= [];

    protected override string PeerCore => Http.Connection.RemoteIpAddress switch
    {
        null => "unknown",
        { AddressFamily: AddressFamily.InterNetwork } v4 => "ipv4:" + new IPEndPoint(v4, Http.Connection.RemotePort),
        var v6 => "ipv6:" + new IPEndPoint(v6, Http.Connection.RemotePort),
    };

    protected override Metadata RequestHeadersCore
    {
        get
        {
            if (_requestHeaders is not null) return _requestHeaders;
            var headers = new Metadata();
            foreach (var (name, values) in Http.Request.Headers)
            {
#pragma warning disable CA1308 // HTTP/2 field names are lower case; Kestrel hands known ones out in their HTTP/1 spelling.
                var lower = name.ToLowerInvariant();
#pragma warning restore CA1308
                if (!MetadataWire.IsReserved(lower)) MetadataWire.Add(headers, lower, values);
            }

            return _requestHeaders = headers;
        }
    }

    protected override CancellationToken CancellationTokenCore
    {
        get
        {
            // Where nothing else can interrupt the method, the stream's own token is enough, and costs nothing more.
            if (_deadlineTimer is null && !_endsOnStop) return Http.RequestAborted;
            lock (_lock)
            {
                if (_cancellation is null)
                {
                    _cancellation = CancellationTokenSource.CreateLinkedTokenSource(Http.RequestAborted);
                    if (_interruption is not null) _cancellation.Cancel();
                }

                return _cancellation.Token;
            }
        }
    }

    /// <summary>Reads the protocol's request headers and starts the deadline.</summary>
    /// <exception cref="RpcException">The call cannot start; the status says why.</exception>
    public void Begin()
    {
        Http.Response.ContentType = "application/grpc";
        TimeSpan? timeout = null;
        if (Http.Request.Headers.GrpcTimeout is { Count: > 0 } timeoutText)
        {
            if (!GrpcTimeout.TryParse(timeoutText.ToString(), out var given))
                throw new RpcException(new Status(StatusCode.Internal, "The grpc-timeout header is malformed."));
            if (given <= TimeSpan.Zero) throw new RpcException(DeadlinePassed);
            timeout = given;
        }

        AgreeOnEncodings();
        // Last, because from here on the call can be ended under us at any moment, and its headers be sent.
        if (_method.Type is MethodType.ServerStreaming or MethodType.DuplexStreaming && _surroundings.Stopping.CanBeCanceled)
        {
            // Such calls may last for ever; others are waited for.
            _endsOnStop = true;
            _stopRegistration = _surroundings.Stopping.UnsafeRegister(static call => ((HttpServerCallContext)call!).Interrupt(ServerStops), this);
        }

        if (timeout is { } after) StartDeadline(after);
    }

    private void AgreeOnEncodings()
    {
        var headers = Http.Request.Headers;
        var response = Http.Response;
        if (headers.GrpcEncoding is { Count: > 0 } encoding && !MessageEncoding.TryFind(encoding.ToString(), out _requestEncoding))
        {
            response.Headers.GrpcAcceptEncoding = MessageEncoding.Accepted;
            throw new RpcException(new Status(StatusCode.Unimplemented, "The message encoding is not supported."));
        }

        // Without this header a client would not know that it may compress; only those that do or can ask for it pay for it.
        if (headers.GrpcAcceptEncoding is not { Count: > 0 } accept) return;
        response.Headers.GrpcAcceptEncoding = MessageEncoding.Accepted;
        if (_surroundings.Options.ResponseCompressionAlgorithm is { } algorithm && MessageEncoding.TryFind(algorithm, out var wanted) && wanted is not null && wanted.IsIn(accept.ToString()))
        {
            _responseEncoding = wanted;
            response.Headers.GrpcEncoding = wanted.Name;
        }
    }

    /// <summary>The only message of a request that has one.</summary>
    public async ValueTask<T> ReadSingleAsync<T>(Marshaller<T> marshaller) where T : class
    {
        T? message = null;
        while (true)
        {
            var result = await ReadBodyAsync(CancellationToken.None);
            var buffer = result.Buffer;
            var taken = false;
            try
            {
                if (message is null) taken = TryTake(ref buffer, marshaller, out message);
                if (message is not null && !buffer.IsEmpty) throw new RpcException(new Status(StatusCode.Internal, "The request has more than one message."));
                if (result.IsCompleted)
                {
                    if (message is not null) return message;
                    throw new RpcException(new Status(StatusCode.Internal, buffer.IsEmpty ? "The request has no message." : "The request ended inside a message."));
                }
            }
            finally
            {
                Advance(buffer.Start, taken ? buffer.Start : buffer.End);
            }
        }
    }

    /// <summary>The next message of a request stream; null at its end.</summary>
    public async ValueTask<T?> ReadNextAsync<T>(Marshaller<T> marshaller, CancellationToken ct) where T : class
    {
        while (true)
        {
            var result = await ReadBodyAsync(ct);
            var buffer = result.Buffer;
            var taken = false;
            try
            {
                taken = TryTake(ref buffer, marshaller, out var message);
                if (taken) return message;
                if (!result.IsCompleted) continue;
                if (buffer.IsEmpty) return null;
                throw new RpcException(new Status(StatusCode.Internal, "The request ended inside a message."));
            }
            finally
            {
                Advance(buffer.Start, taken ? buffer.Start : buffer.End);
            }
        }
    }

    /// <summary>Puts the only response in the output; it leaves together with the trailers.</summary>
    public void WriteSingle<T>(Marshaller<T> marshaller, T message)
    {
        // Not entered: the deadline was faster.
        if (!TryEnter()) return;
        try
        {
            Writer.Write(marshaller, message, (WriteOptionsCore?.Flags & WriteFlags.NoCompress) == WriteFlags.NoCompress ? null : _responseEncoding);
            _wroteMessage = true;
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Writes one of many responses; returns when the peer's window has room again.</summary>
    public async Task WriteNextAsync<T>(Marshaller<T> marshaller, T message, WriteOptions? options, CancellationToken ct)
    {
        Enter();
        try
        {
            var flags = (options ?? WriteOptionsCore)?.Flags ?? WriteFlags.None;
            Writer.Write(marshaller, message, (flags & WriteFlags.NoCompress) != 0 ? null : _responseEncoding);
            _wroteMessage = true;
            if ((flags & WriteFlags.BufferHint) == 0) await FlushAsync(ct);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Writes one of many responses that exists as a frame already.</summary>
    public async Task WriteFrameAsync(ReadOnlyMemory<byte> frame, CancellationToken ct)
    {
        Enter();
        try
        {
            Writer.WriteFrame(frame.Span);
            _wroteMessage = true;
            await FlushAsync(ct);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Ends the call with a status, unless the deadline has done so; returns when nothing touches the stream any more.</summary>
    public async ValueTask EndAsync(Status status)
    {
        Task? lastWrite = null;
        lock (_lock)
        {
            // A method that returned without waiting for its last write: the status comes after the message.
            if (_phase == Phase.Writing) lastWrite = (_writeLeft = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }

        if (lastWrite is not null) await lastWrite;
        lock (_lock)
        {
            if (_phase == Phase.Open) ApplyStatus(status, _responseTrailers);
            _phase = Phase.Ended;
        }

        await _stopRegistration.DisposeAsync();
        if (_deadlineTimer is not null) await _deadlineTimer.DisposeAsync();
        if (_endedEarly is not null) await _endedEarly;
        if (_cancelled is not null) await _cancelled;
        _cancellation?.Dispose();
    }

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        ArgumentNullException.ThrowIfNull(responseHeaders);
        return StartResponseAsync(responseHeaders);
    }

    private async Task StartResponseAsync(Metadata headers)
    {
        // As a write: the deadline must not end the response while its headers are being put together.
        Enter();
        try
        {
            if (Http.Response.HasStarted || _wroteMessage) throw new InvalidOperationException("The response headers were sent already.");
            foreach (var entry in headers)
                if (!MetadataWire.IsReserved(entry.Key)) Http.Response.Headers.Append(entry.Key, MetadataWire.Value(entry));
            await Http.Response.StartAsync(CancellationTokenCore);
        }
        finally
        {
            Leave();
        }
    }

    private FrameWriter Writer => _writer ??= new FrameWriter(_bodyWriter, _surroundings.Options.MaxSendMessageSize ?? int.MaxValue);

    private bool TryTake<T>(ref ReadOnlySequence<byte> buffer, Marshaller<T> marshaller, out T? message) where T : class
    {
        message = null;
        switch (GrpcFrame.TryRead(ref buffer, _receiveLimit, out var payload, out var compressed))
        {
            case FrameRead.Message:
                message = (_payload ??= new FramePayload(_receiveLimit)).Read(marshaller, payload, compressed, _requestEncoding);
                return true;
            case FrameRead.TooLarge:
                throw new RpcException(new Status(StatusCode.ResourceExhausted, "The received message is larger than the limit."));
            case FrameRead.BadFlag:
                throw new RpcException(new Status(StatusCode.Internal, "The request is not a sequence of gRPC messages."));
            default:
                return false;
        }
    }

    private async ValueTask<ReadResult> ReadBodyAsync(CancellationToken ct)
    {
        try
        {
            var result = await _bodyReader.ReadAsync(ct);
            if (!result.IsCanceled) return result;
            Advance(result.Buffer.Start, result.Buffer.Start);
        }
        catch (Exception e) when (IsAbort(e) && !ct.IsCancellationRequested)
        {
            throw Interrupted(ClientLeft, e);
        }

        throw Interrupted(DeadlinePassed, cause: null);
    }

    // A reset between a read and its end makes Kestrel throw here, before its token fires. What was read was read; the next read says it.
    private void Advance(SequencePosition consumed, SequencePosition examined)
    {
        try
        {
            _bodyReader.AdvanceTo(consumed, examined);
        }
        catch (Exception e) when (IsAbort(e))
        {
            lock (_lock) _interruption ??= ClientLeft;
        }
    }

    private async ValueTask FlushAsync(CancellationToken ct)
    {
        var flushed = await _bodyWriter.FlushAsync(ct);
        if (flushed.IsCanceled) throw Interrupted(DeadlinePassed, cause: null);
        // Kestrel swallows what is written to a stream that is gone; the method should know.
        if (flushed.IsCompleted || Http.RequestAborted.IsCancellationRequested) throw Interrupted(ClientLeft, cause: null);
    }

    private OperationCanceledException Interrupted(Status otherwise, Exception? cause)
    {
        lock (_lock)
        {
            var reason = _interruption ??= otherwise;
            return new OperationCanceledException(reason.Detail, cause);
        }
    }

    private void StartDeadline(TimeSpan timeout)
    {
        var time = _surroundings.Options.TimeProvider;
        _deadline = time.GetUtcNow().UtcDateTime + timeout;
        _deadlineTimer = time.CreateTimer(static call => ((HttpServerCallContext)call!).Interrupt(DeadlinePassed), this, timeout, Timeout.InfiniteTimeSpan);
    }

    private void Interrupt(Status reason)
    {
        lock (_lock)
        {
            if (_phase == Phase.Ended || _interruption is not null) return;
            _interruption = reason;
            if (_phase == Phase.Open)
            {
                // The caller gets its answer now, whether or not the method listens to its token.
                _phase = Phase.Ended;
                ApplyStatus(reason, trailers: null);
                _endedEarly = CompleteAsync();
            }

            _cancelled = _cancellation?.CancelAsync();
            try
            {
                _bodyWriter.CancelPendingFlush();
                _bodyReader.CancelPendingRead();
            }
            catch (Exception e) when (IsAbort(e))
            {
                // The client left at the same moment: reads and flushes have ended by themselves.
            }
        }
    }

    private async Task CompleteAsync()
    {
        try
        {
            await Http.Response.CompleteAsync();
        }
        catch (Exception e) when (IsAbort(e))
        {
            // Nobody is left to read the status.
        }
    }

    // What Kestrel throws from the body of a stream that was reset or whose connection is gone.
    private static bool IsAbort(Exception e) => e is IOException or ConnectionAbortedException or TaskCanceledException;

    private void ApplyStatus(Status status, Metadata? trailers)
    {
        var response = Http.Response;
        // "Trailers-Only": a response without a message has its status in the headers, and no body.
        var target = response.HasStarted || _wroteMessage ? Http.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers : response.Headers;
        if (trailers is not null)
            foreach (var entry in trailers)
                if (!MetadataWire.IsReserved(entry.Key)) target.Append(entry.Key, MetadataWire.Value(entry));
        target.GrpcStatus = (uint)status.StatusCode < StatusTexts.Length ? StatusTexts[(int)status.StatusCode] : StatusTexts[(int)StatusCode.Unknown];
        if (status.Detail.Length > 0) target.GrpcMessage = GrpcMessageText.Encode(status.Detail);
    }

    private void Enter()
    {
        if (TryEnter()) return;
        if (_interruption is { } reason) throw new OperationCanceledException(reason.Detail);
        throw new InvalidOperationException("The call has ended, or another write is in progress.");
    }

    private bool TryEnter()
    {
        lock (_lock)
        {
            if (_phase != Phase.Open) return false;
            _phase = Phase.Writing;
            return true;
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            _phase = Phase.Open;
            _writeLeft?.TrySetResult();
        }
    }
}
