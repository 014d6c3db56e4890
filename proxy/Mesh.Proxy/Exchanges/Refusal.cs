using Mesh.Proxy.Control;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Exchanges;

/// <summary>An answer that the proxy gives in place of a server.</summary>
/// <param name="Status">For HTTP.</param>
/// <param name="Grpc">For gRPC, which is told in the status of its own.</param>
/// <param name="Reason">The label of metrics.</param>
/// <param name="Sentence">For the client, in <c>l5d-proxy-error</c> and the body; says nothing about the inside of the mesh.</param>
internal sealed record Refusal(int Status, GrpcStatusCode Grpc, string Reason, string Sentence)
{
    public static Refusal Denied { get; } = new(403, GrpcStatusCode.PermissionDenied, "unauthorized", "the client is not authorized");

    public static Refusal NoEndpoint { get; } = new(503, GrpcStatusCode.Unavailable, "no_endpoint", "the service has no endpoint");

    public static Refusal AllFailing { get; } = new(503, GrpcStatusCode.Unavailable, "all_failing", "every server of the service is failing");

    public static Refusal NoRoute { get; } = new(404, GrpcStatusCode.Unimplemented, "no_route", "no route takes the request");

    public static Refusal RouteFault { get; } = new(500, GrpcStatusCode.Internal, "route_invalid", "the route of the request is not valid");

    public static Refusal NoBackend { get; } = new(500, GrpcStatusCode.Internal, "no_backend", "the route of the request has no backend");

    public static Refusal DiscoveryUnavailable { get; } = new(503, GrpcStatusCode.Unavailable, "discovery_unavailable", "the service is not known yet");

    public static Refusal ConnectFailed { get; } = new(502, GrpcStatusCode.Unavailable, "connect_failed", "no connection to the server");

    public static Refusal HandshakeFailed { get; } = new(502, GrpcStatusCode.Unavailable, "tls_handshake_failed", "no secure connection to the server");

    public static Refusal NoCertificate { get; } = new(503, GrpcStatusCode.Unavailable, "no_certificate", "the proxy has no valid certificate");

    public static Refusal FailFast { get; } = new(503, GrpcStatusCode.Unavailable, "fail_fast", "no server was ready in time");

    public static Refusal QueueFull { get; } = new(503, GrpcStatusCode.Unavailable, "queue_full", "too many requests wait for the server");

    public static Refusal ConnectionLost { get; } = new(502, GrpcStatusCode.Unavailable, "connection_lost", "the server closed the connection before it answered");

    public static Refusal BadResponse { get; } = new(502, GrpcStatusCode.Internal, "bad_response", "the server's answer is not valid HTTP");

    public static Refusal ServerReset { get; } = new(502, GrpcStatusCode.Unavailable, "server_reset", "the server dropped the request");

    public static Refusal LoopRefused { get; } = new(502, GrpcStatusCode.Unavailable, "loop_refused", "the request would come back to this proxy");

    public static Refusal ResponseTimeout { get; } = new(504, GrpcStatusCode.DeadlineExceeded, "response_timeout", "the server did not answer in time");

    public static Refusal RequestTimeout { get; } = new(504, GrpcStatusCode.DeadlineExceeded, "request_timeout", "the request took too long");

    public static Refusal IdleTimeout { get; } = new(504, GrpcStatusCode.DeadlineExceeded, "idle_timeout", "nothing was sent in either direction for too long");

    public static Refusal NotForMe { get; } = new(421, GrpcStatusCode.Unavailable, "misdirected", "this proxy does not serve that");

    /// <summary>Writes the head of the answer into an empty block. A gRPC client is answered in trailers alone (gRPC over HTTP/2, Responses).</summary>
    public void WriteTo(HeaderBlock block, bool grpc)
    {
        if (grpc)
        {
            block.Add(FieldName.Status, "200"u8);
            block.Add(FieldName.ContentType, "application/grpc"u8);
            AddNumber(block, FieldName.GrpcStatus, (int)Grpc);
            block.Add(FieldName.GrpcMessage, System.Text.Encoding.ASCII.GetBytes(Sentence));
        }
        else
        {
            AddNumber(block, FieldName.Status, Status);
            block.Add(FieldName.ContentType, "text/plain"u8);
            AddNumber(block, FieldName.ContentLength, Sentence.Length + 1);
        }

        block.Add(FieldName.L5dProxyError, System.Text.Encoding.ASCII.GetBytes(Sentence));
    }

    private static void AddNumber(HeaderBlock block, FieldName name, int number)
    {
        Span<byte> digits = stackalloc byte[11];
        number.TryFormat(digits, out var length);
        block.Add(name, digits[..length]);
    }
}
