using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using Mesh.Grpc.Wire;

namespace Mesh.Proxy.Control;

/// <summary>A call in progress. One reader and one writer at a time; disposing it cancels what is left of the call.</summary>
internal sealed class GrpcStream<TRequest, TResponse> : IAsyncDisposable
    where TRequest : IMessage
    where TResponse : class, IMessage<TResponse>
{
    private readonly HttpRequestMessage _request;
    private readonly HttpResponseMessage _response;
    private readonly GrpcRequestStream? _requests;
    private readonly MessageParser<TResponse> _parser;
    private readonly PipeReader _body;

    private GrpcStream(HttpRequestMessage request, HttpResponseMessage response, GrpcRequestStream? requests, MessageParser<TResponse> parser, PipeReader body) =>
        (_request, _response, _requests, _parser, _body) = (request, response, requests, parser, body);

    /// <exception cref="GrpcCallException">The answer's head already says that the call has failed.</exception>
    internal static async Task<GrpcStream<TRequest, TResponse>> StartAsync(
        HttpRequestMessage request, HttpResponseMessage response, GrpcRequestStream? requests, MessageParser<TResponse> parser, CancellationToken ct)
    {
        if (GrpcFailures.FromHead(response) is { } failure)
        {
            response.Dispose();
            throw failure;
        }

        return new GrpcStream<TRequest, TResponse>(request, response, requests, parser, PipeReader.Create(await response.Content.ReadAsStreamAsync(ct)));
    }

    /// <summary>Sends one more message on a call that was opened with <see cref="ControlChannel.ConverseAsync"/>.</summary>
    /// <exception cref="GrpcCallException">The call has ended.</exception>
    public async Task WriteAsync(TRequest message, CancellationToken ct)
    {
        try
        {
            await _requests!.WriteAsync(GrpcRequestStream.Frame(message), ct);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            throw GrpcFailures.From(e);
        }
    }

    /// <summary>The next message; null when the server has ended the call with status OK.</summary>
    /// <exception cref="GrpcCallException">The call ended in another way.</exception>
    public async ValueTask<TResponse?> ReadAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                ReadResult read = await _body.ReadAsync(ct);
                ReadOnlySequence<byte> buffer = read.Buffer;
                FrameRead frame = GrpcFrame.TryRead(ref buffer, ControlChannel.MaxMessage, out ReadOnlySequence<byte> payload, out bool compressed);
                switch (frame)
                {
                    case FrameRead.Message when compressed:
                        throw new GrpcCallException(GrpcStatusCode.Internal, "the server compressed a message although it was not asked to");
                    case FrameRead.Message:
                        TResponse message = _parser.ParseFrom(payload);
                        _body.AdvanceTo(buffer.Start);
                        return message;
                    case FrameRead.TooLarge:
                        throw new GrpcCallException(GrpcStatusCode.ResourceExhausted, "the server announced a message that is too large");
                    case FrameRead.BadFlag:
                        throw new GrpcCallException(GrpcStatusCode.Internal, "the server sent something that is not a gRPC message");
                    case FrameRead.NeedMore:
                        if (read.IsCompleted) return End(buffer.IsEmpty);
                        _body.AdvanceTo(buffer.Start, buffer.End);
                        break;
                }
            }
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new GrpcCallException(GrpcStatusCode.Internal, "the server sent a message that cannot be parsed", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw GrpcFailures.From(e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _requests?.Complete();
        await _body.CompleteAsync();
        _response.Dispose();
        _request.Dispose();
    }

    private TResponse? End(bool betweenMessages)
    {
        if (GrpcFailures.FromTrailers(_response) is { } failure) throw failure;
        return betweenMessages ? null : throw new GrpcCallException(GrpcStatusCode.Internal, "the server ended the call within a message");
    }
}
