using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Grpc.Server;
using Mesh.Grpc.Wire;

namespace Mesh.Grpc.Client;

/// <summary>One call over one HTTP/2 stream, whatever its kind. It ends once: with the server's status, or with the reason why there is none.</summary>
internal sealed class ClientCall<TRequest, TResponse> : IAsyncStreamReader<TResponse>, IDisposable
    where TRequest : class where TResponse : class
{
    private static readonly string UserAgent = "mesh-grpc/" + typeof(GrpcChannel).Assembly.GetName().Version!.ToString(3);

    private readonly GrpcChannel _channel;
    private readonly Method<TRequest, TResponse> _method;
    private readonly CallOptions _options;
    private readonly TaskCompletionSource<Metadata> _headers = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _cancellation;
    private readonly CancellationToken _token;
    private readonly CancellationTokenSource? _deadline;
    private readonly FramePayload _payload;
    private readonly MessageEncoding? _requestEncoding;
    private readonly Lock _lock = new();

    private HttpRequestMessage? _request;
    private HttpResponseMessage? _response;
    private MessageEncoding? _responseEncoding;
    private Task<PipeReader>? _body;
    private RpcException? _failure;
    private Metadata _trailers = Metadata.Empty;
    private TResponse? _current;
    private OpenContent? _openContent;
    private bool _anyMessage;
    private bool _ended;
    private int _reading;

    public ClientCall(GrpcChannel channel, Method<TRequest, TResponse> method, CallOptions options)
    {
        _channel = channel;
        _method = method;
        _options = options;
        _payload = new FramePayload(channel.MaxReceiveMessageSize);
        if (options.Deadline is { } deadline)
        {
            var left = deadline.ToUniversalTime() - channel.Time.GetUtcNow().UtcDateTime;
            // A timer reaches 49 days; who waits longer waits for good.
            if (left <= TimeSpan.Zero) _deadline = new CancellationTokenSource(TimeSpan.Zero, channel.Time);
            else if (left < TimeSpan.FromDays(49)) _deadline = new CancellationTokenSource(left, channel.Time);
        }

        // After the end the source is disposed; its token is not.
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(options.CancellationToken, channel.Closed, _deadline?.Token ?? CancellationToken.None);
        _token = _cancellation.Token;
        MessageEncoding.TryFind(options.Headers?.GetValue("grpc-internal-encoding-request"), out _requestEncoding);
    }

    public Task<Metadata> ResponseHeaders => _headers.Task;

    public TResponse Current => _current ?? throw new InvalidOperationException("There is no current message.");

    /// <summary>The failure the call ended with; null while it has not, and when it ended well.</summary>
    internal RpcException? Failure
    {
        get { lock (_lock) return _failure; }
    }

    internal Task<PipeReader> Body => _body!;

    public Status GetStatus()
    {
        lock (_lock)
        {
            if (!_ended) throw new InvalidOperationException("The call has not ended.");
            return _failure?.Status ?? Status.DefaultSuccess;
        }
    }

    public Metadata GetTrailers()
    {
        lock (_lock) return _ended ? _trailers : throw new InvalidOperationException("The call has not ended.");
    }

    public async Task<TResponse> SendUnaryAsync(TRequest request)
    {
        Send(request);
        return await ReadSingleAsync();
    }

    public void Send(TRequest request)
    {
        ReadOnlyMemory<byte> frame;
        try
        {
            frame = Serialize(request);
        }
        catch (RpcException e)
        {
            _body = Task.FromException<PipeReader>(End(e.Status, Metadata.Empty, e.Status.DebugException)!);
            return;
        }

        _body = OpenAsync(new SingleContent(frame));
    }

    public RequestWriter<TRequest, TResponse> SendStream()
    {
        var content = _openContent = new OpenContent();
        _body = OpenAsync(content);
        return new RequestWriter<TRequest, TResponse>(this, content);
    }

    /// <summary>The frame of a request message.</summary>
    /// <exception cref="RpcException">ResourceExhausted: the message is larger than the limit.</exception>
    public ReadOnlyMemory<byte> Serialize(TRequest request)
    {
        var output = new ArrayBufferWriter<byte>();
        new FrameWriter(output, _channel.MaxSendMessageSize).Write(_method.RequestMarshaller, request, _requestEncoding);
        return output.WrittenMemory;
    }

    /// <summary>The only response of a call that has one, and its status.</summary>
    public async Task<TResponse> ReadSingleAsync()
    {
        var message = await ReadAsync(CancellationToken.None) ?? throw Failure!;
        // The end of the stream brings the status.
        if (await ReadAsync(CancellationToken.None) is not null) throw End(new Status(StatusCode.Internal, "The response has more than one message."), Metadata.Empty, cause: null)!;
        return message;
    }

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _reading, 1) != 0) throw new InvalidOperationException("Another read is in progress.");
        try
        {
            _current = null;
            _current = await ReadAsync(cancellationToken);
            return _current is not null;
        }
        finally
        {
            _reading = 0;
        }
    }

    public void Dispose() => Cancel("The call was disposed.");

    private void Cancel(string reason) => End(new Status(StatusCode.Cancelled, reason), Metadata.Empty, cause: null);

    private async Task<PipeReader> OpenAsync(HttpContent content)
    {
        try
        {
            _request = BuildRequest(content);
            var response = await _channel.Invoker.SendAsync(_request, _token);
            lock (_lock)
            {
                if (!_ended) _response = response;
            }

            if (_response is null)
            {
                response.Dispose();
                throw Failure!;
            }

            var trailersOnly = CallStatus.TryRead(response.Headers, out var status);
            if (!trailersOnly && (response.StatusCode != HttpStatusCode.OK || !Admission.IsGrpcContent(response.Content.Headers.ContentType?.MediaType)))
                throw End(CallStatus.OfHttp(response.StatusCode), Metadata.Empty, cause: null)!;
            var metadata = CallStatus.ReadMetadata(response.Headers);
            if (trailersOnly && status.StatusCode != StatusCode.OK) throw End(status, metadata, cause: null)!;
            var encoding = response.Headers.NonValidated.TryGetValues("grpc-encoding", out var encodings) ? encodings.ToString() : null;
            if (!MessageEncoding.TryFind(encoding, out _responseEncoding))
                throw End(new Status(StatusCode.Internal, "The response's message encoding is not supported."), Metadata.Empty, cause: null)!;
            _headers.TrySetResult(metadata);
            return PipeReader.Create(await response.Content.ReadAsStreamAsync(_token));
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException or ObjectDisposedException)
        {
            throw Fail(e);
        }
    }

    private HttpRequestMessage BuildRequest(HttpContent content)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, _channel.AddressOf(_method))
        {
            Content = content,
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var headers = request.Headers;
        headers.TryAddWithoutValidation("user-agent", UserAgent);
        headers.TryAddWithoutValidation("te", "trailers");
        headers.TryAddWithoutValidation("grpc-accept-encoding", MessageEncoding.Accepted);
        if (_requestEncoding is not null) headers.TryAddWithoutValidation("grpc-encoding", _requestEncoding.Name);
        if (_options.Deadline is { } deadline)
            headers.TryAddWithoutValidation("grpc-timeout", GrpcTimeout.Format(deadline.ToUniversalTime() - _channel.Time.GetUtcNow().UtcDateTime));
        if (_options.Headers is not null)
            foreach (var entry in _options.Headers)
                if (!MetadataWire.IsReserved(entry.Key)) headers.TryAddWithoutValidation(entry.Key, MetadataWire.Value(entry));
        return request;
    }

    /// <summary>The next message; null at the end of a call that ended well.</summary>
    private async ValueTask<TResponse?> ReadAsync(CancellationToken ct)
    {
        var body = await Body;
        using var registration = ct.UnsafeRegister(static call => ((ClientCall<TRequest, TResponse>)call!).Cancel("The read was cancelled."), this);
        try
        {
            while (true)
            {
                if (_ended)
                {
                    if (Failure is { } failure) throw failure;
                    return null;
                }

                var result = await body.ReadAsync(_token);
                var buffer = result.Buffer;
                switch (GrpcFrame.TryRead(ref buffer, _channel.MaxReceiveMessageSize, out var payload, out var compressed))
                {
                    case FrameRead.Message:
                        var message = _payload.Read(_method.ResponseMarshaller, payload, compressed, _responseEncoding);
                        body.AdvanceTo(buffer.Start);
                        _anyMessage = true;
                        return message;
                    case FrameRead.TooLarge:
                        throw new RpcException(new Status(StatusCode.ResourceExhausted, "The received message is larger than the limit."));
                    case FrameRead.BadFlag:
                        throw new RpcException(new Status(StatusCode.Internal, "The response is not a sequence of gRPC messages."));
                }

                if (!result.IsCompleted)
                {
                    body.AdvanceTo(buffer.Start, buffer.End);
                    continue;
                }

                if (!buffer.IsEmpty) throw new RpcException(new Status(StatusCode.Internal, "The response ended inside a message."));
                EndWithTrailers();
            }
        }
        catch (RpcException e) when (!_ended)
        {
            throw End(e.Status, Metadata.Empty, e.Status.DebugException)!;
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException or ObjectDisposedException)
        {
            throw Fail(e);
        }
    }

    private void EndWithTrailers()
    {
        HttpHeaders fields = _response!.TrailingHeaders;
        if (!CallStatus.TryRead(fields, out var status) && !CallStatus.TryRead(fields = _response.Headers, out status))
            status = new Status(StatusCode.Unknown, "The response ended without a status.");
        if (status.StatusCode == StatusCode.OK && !_anyMessage && _method.Type is MethodType.Unary or MethodType.ClientStreaming)
            status = new Status(StatusCode.Internal, "The response has a status but no message.");
        End(status, CallStatus.ReadMetadata(fields), cause: null);
    }

    private RpcException Fail(Exception cause)
    {
        Status status;
        if (_deadline is { IsCancellationRequested: true }) status = new Status(StatusCode.DeadlineExceeded, "The deadline has passed.", cause);
        else if (_options.CancellationToken.IsCancellationRequested) status = new Status(StatusCode.Cancelled, "The call was cancelled.", cause);
        else if (_channel.Closed.IsCancellationRequested) status = new Status(StatusCode.Cancelled, "The channel was closed.", cause);
        else status = CallStatus.OfFailure(cause);
        // Ended already means disposed, or a status that came before the failure: that one stands.
        return End(status, Metadata.Empty, cause) ?? new RpcException(status);
    }

    /// <summary>Ends the call, if it has not ended; the failure it ended with, or null when it ended well.</summary>
    private RpcException? End(Status status, Metadata trailers, Exception? cause)
    {
        lock (_lock)
        {
            if (_ended) return _failure;
            _ended = true;
            _failure = status.StatusCode == StatusCode.OK ? null : new RpcException(status with { DebugException = cause }, trailers);
            _trailers = trailers;
        }

        if (_failure is not null) _headers.TrySetException(_failure);
        // Nobody may ever look at the headers.
        if (_headers.Task.IsFaulted) _ = _headers.Task.Exception;
        // Stops a request that is still being sent.
        _cancellation.Cancel();
        _openContent?.Abandon();
        _response?.Dispose();
        _request?.Dispose();
        _deadline?.Dispose();
        _cancellation.Dispose();
        return _failure;
    }
}
