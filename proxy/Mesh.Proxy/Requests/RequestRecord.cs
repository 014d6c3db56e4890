using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tracing;

namespace Mesh.Proxy.Requests;

/// <summary>
/// What is told of one request: a line of the access log, an event of the tap. Filled by the exchange as it learns, and only when somebody looks;
/// used again for another request. Of the fields of a request only user-agent and x-request-id are kept, and nothing of a body. Lives on the loop.
/// </summary>
internal sealed class RequestRecord : ILineItem
{
    /// <summary>The <see cref="Reason"/> of a request whose client did not wait for its answer, which is nobody's failure.</summary>
    public const string ClientLeft = "client_left";

    private const int MaxMethod = 32;
    private const int MaxAuthority = 256;
    private const int MaxPath = 1024;
    private const int MaxUserAgent = 256;
    private const int MaxRequestId = 128;

    private readonly byte[] _text = new byte[MaxMethod + MaxAuthority + MaxPath + MaxUserAgent + MaxRequestId];
    private int _used;
    private (int Offset, int Length) _method;
    private (int Offset, int Length) _authority;
    private (int Offset, int Length) _path;
    private (int Offset, int Length) _userAgent;
    private (int Offset, int Length) _requestId;

    /// <summary>The request's place in its trace, when it is recorded.</summary>
    public SpanIds? Span { get; set; }

    public Direction Direction { get; set; }

    /// <summary>The connection of the client, as the line of its end names it.</summary>
    public long Connection { get; set; }

    /// <summary>As the client spoke it.</summary>
    public HttpVersion Version { get; set; }

    /// <summary>Who asks (inbound), who answers (outbound).</summary>
    public PeerIdentity? Peer { get; set; }

    /// <summary>The address that the request went to; a string that is kept with the endpoint.</summary>
    public string? Endpoint { get; set; }

    public string? Route { get; set; }

    /// <summary>What the client got; 0 when it got nothing.</summary>
    public int Status { get; set; }

    /// <summary>-1 when there was none.</summary>
    public int GrpcStatus { get; set; }

    /// <summary>Bytes of the body, from the client.</summary>
    public long BytesUp { get; set; }

    /// <summary>Bytes of the body, to the client.</summary>
    public long BytesDown { get; set; }

    /// <summary>From the request's head to the first byte of the response; -1 when there was none.</summary>
    public long LatencyMicroseconds { get; set; }

    /// <summary>From the request's head to the end of both messages.</summary>
    public long DurationMicroseconds { get; set; }

    /// <summary>Attempts after the first.</summary>
    public int Retries { get; set; }

    /// <summary>Why there is no answer of the server, or not a whole one; null when there is. The label of metrics.</summary>
    public string? Reason { get; set; }

    /// <summary>As received, cut at 32 bytes; the others likewise at 256, 1024, 256 and 128.</summary>
    public ReadOnlySpan<byte> Method => Slice(_method);

    public ReadOnlySpan<byte> Authority => Slice(_authority);

    /// <summary>With the query.</summary>
    public ReadOnlySpan<byte> Path => Slice(_path);

    public ReadOnlySpan<byte> UserAgent => Slice(_userAgent);

    public ReadOnlySpan<byte> RequestId => Slice(_requestId);

    public bool IsFailure => Reason is not (null or ClientLeft) || HttpStatusCounters.IsFailure(Status, GrpcStatus);

    /// <summary>Forgets the request before and takes what the head says.</summary>
    public void Begin(Direction direction, long connection, HttpVersion version, HeaderBlock head)
    {
        _used = 0;
        (Direction, Connection, Version) = (direction, connection, version);
        (Peer, Endpoint, Route, Status, GrpcStatus, Reason, Retries) = (null, null, null, 0, -1, null, 0);
        (BytesUp, BytesDown, LatencyMicroseconds, DurationMicroseconds) = (0, 0, -1, 0);
        _method = Keep(head.ValueOf(FieldName.Method), MaxMethod);
        _authority = Keep(head.ValueOf(head.Contains(FieldName.Authority) ? FieldName.Authority : FieldName.Host), MaxAuthority);
        _path = Keep(head.ValueOf(FieldName.Path), MaxPath);
        _userAgent = Keep(head.ValueOf(FieldName.UserAgent), MaxUserAgent);
        _requestId = Keep(head.ValueOf(FieldName.XRequestId), MaxRequestId);
    }

    public void WriteTo(LineFields line)
    {
        line.Text("direction", Direction.Label());
        line.Number("connection", Connection);
        line.Bytes("method", Method);
        line.Bytes("authority", Authority);
        line.Bytes("path", Path);
        line.Text("version", Version.Label());
        if (Status != 0) line.Number("status", Status);
        if (GrpcStatus >= 0) line.Number("grpc_status", GrpcStatus);
        if (Reason is not null) line.Text("reason", Reason);
        if (Peer is PeerIdentity.Verified { Id: var id }) line.Text("peer", id.ToString());
        else if (Peer is PeerIdentity.Absent { Reason: var absent }) line.Text("no_peer", absent.Label());
        if (Endpoint is not null) line.Text("endpoint", Endpoint);
        if (Route is not null) line.Text("route", Route);
        if (Retries > 0) line.Number("retries", Retries);
        line.Number("bytes_up", BytesUp);
        line.Number("bytes_down", BytesDown);
        if (LatencyMicroseconds >= 0) line.Number("latency_ms", LatencyMicroseconds / 1000.0);
        line.Number("duration_ms", DurationMicroseconds / 1000.0);
        if (UserAgent.Length > 0) line.Bytes("user_agent", UserAgent);
        if (RequestId.Length > 0) line.Bytes("request_id", RequestId);
        if (Span is { } span) line.Text("trace_id", $"{span.TraceId:x32}");
    }

    private (int Offset, int Length) Keep(ReadOnlySpan<byte> value, int most)
    {
        var kept = value[..Math.Min(value.Length, most)];
        kept.CopyTo(_text.AsSpan(_used));
        var at = (_used, kept.Length);
        _used += kept.Length;
        return at;
    }

    private ReadOnlySpan<byte> Slice((int Offset, int Length) at) => _text.AsSpan(at.Offset, at.Length);
}
