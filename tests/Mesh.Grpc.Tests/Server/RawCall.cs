using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;

namespace Mesh.Grpc.Tests.Server;

/// <summary>A request made byte by byte, for what no gRPC client would send.</summary>
internal sealed class RawCall
{
    private static readonly HttpMessageInvoker Http = new(new SocketsHttpHandler());

    private readonly Dictionary<string, string> _headers = [];

    public string Path { get; init; } = "/mesh.testing.v1.Probe/Unary";
    public string ContentType { get; init; } = "application/grpc";
    public HttpMethod Method { get; init; } = HttpMethod.Post;
    public Version Version { get; init; } = HttpVersion.Version20;
    public byte[] Body { get; init; } = [];

    public RawCall With(string name, string value)
    {
        _headers.Add(name, value);
        return this;
    }

    public static byte[] Frame(byte[] payload, byte flag = 0)
    {
        var frame = new byte[5 + payload.Length];
        frame[0] = flag;
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)payload.Length);
        payload.CopyTo(frame, 5);
        return frame;
    }

    public static byte[] Frame(IMessage message) => Frame(message.ToByteArray());

    public async Task<RawAnswer> SendAsync(ProbeServer server, CancellationToken ct = default) => await SendAsync(server.Address, ct);

    public async Task<RawAnswer> SendAsync(Uri server, CancellationToken ct = default)
    {
        var request = new HttpRequestMessage(Method, new Uri(server, Path)) { Version = Version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        if (Method == HttpMethod.Post)
        {
            request.Content = new ByteArrayContent(Body);
            request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(ContentType);
        }

        foreach (var (name, value) in _headers) request.Headers.TryAddWithoutValidation(name, value);
        var response = await Http.SendAsync(request, ct);
        var body = await response.Content.ReadAsByteArrayAsync(ct);
        return new RawAnswer(response.StatusCode, response.Headers, response.TrailingHeaders, body);
    }
}

/// <summary>What came back.</summary>
internal sealed record RawAnswer(HttpStatusCode Code, HttpResponseHeaders Headers, HttpResponseHeaders Trailers, byte[] Body)
{
    /// <summary>grpc-status, wherever it is.</summary>
    public int? Status => Field("grpc-status") is { } text ? int.Parse(text, null) : null;

    public string? Message => Field("grpc-message");

    public string? Header(string name) => Headers.TryGetValues(name, out var values) ? string.Join(",", values) : null;

    public string? Trailer(string name) => Trailers.TryGetValues(name, out var values) ? string.Join(",", values) : null;

    private string? Field(string name) => Trailer(name) ?? Header(name);
}
