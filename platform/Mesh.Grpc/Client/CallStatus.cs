using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Mesh.Grpc.Wire;

namespace Mesh.Grpc.Client;

/// <summary>What a response, or its failure, says about the call.</summary>
internal static class CallStatus
{
    /// <summary>The status in headers or trailers; false when there is none.</summary>
    public static bool TryRead(HttpHeaders headers, out Status status)
    {
        status = default;
        var fields = headers.NonValidated;
        if (!fields.TryGetValues("grpc-status", out var codes)) return false;
        var detail = fields.TryGetValues("grpc-message", out var messages) ? GrpcMessageText.Decode(messages.ToString()) : "";
        var known = int.TryParse(codes.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code <= (int)StatusCode.Unauthenticated;
        status = new Status(known ? (StatusCode)code : StatusCode.Unknown, detail);
        return true;
    }

    /// <summary>The fields that are the application's.</summary>
    public static Metadata ReadMetadata(HttpHeaders headers)
    {
        var metadata = new Metadata();
        foreach (var (name, values) in headers.NonValidated)
        {
#pragma warning disable CA1308 // HTTP/2 field names are lower case; HttpClient hands known ones out in their HTTP/1 spelling.
            var lower = name.ToLowerInvariant();
#pragma warning restore CA1308
            if (MetadataWire.IsReserved(lower)) continue;
            foreach (var value in values) MetadataWire.Add(metadata, lower, value);
        }

        return metadata;
    }

    /// <summary>The status for an HTTP answer that is not gRPC (gRPC "HTTP to gRPC Status Code Mapping").</summary>
    public static Status OfHttp(HttpStatusCode code) => new(
        code switch
        {
            HttpStatusCode.BadRequest => StatusCode.Internal,
            HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
            HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
            HttpStatusCode.NotFound => StatusCode.Unimplemented,
            HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => StatusCode.Unavailable,
            _ => StatusCode.Unknown,
        },
        string.Create(CultureInfo.InvariantCulture, $"The server answered with HTTP status {(int)code} and no gRPC status."));

    /// <summary>The status for a request that failed on the way (gRPC over HTTP2, "Errors").</summary>
    public static Status OfFailure(Exception failure)
    {
        for (Exception? e = failure; e is not null; e = e.InnerException)
            if (e is HttpProtocolException protocol) return new Status(OfHttp2(protocol.ErrorCode), "The stream was reset: " + protocol.Message, failure);
        if (failure is OperationCanceledException { InnerException: TimeoutException late }) return new Status(StatusCode.Unavailable, late.Message, failure);
        // The transport's own cancellation, not ours: what it tells about it is "A task was canceled."
        if (failure is OperationCanceledException) return new Status(StatusCode.Unavailable, "The server cut the request off without a status.", failure);
        return new Status(StatusCode.Unavailable, "The call could not be made or was cut off: " + failure.Message, failure);
    }

    private static StatusCode OfHttp2(long errorCode) => errorCode switch
    {
        7 => StatusCode.Unavailable, // REFUSED_STREAM
        8 => StatusCode.Cancelled, // CANCEL
        11 => StatusCode.ResourceExhausted, // ENHANCE_YOUR_CALM
        12 => StatusCode.PermissionDenied, // INADEQUATE_SECURITY
        0 => StatusCode.Unavailable, // NO_ERROR, as in a GOAWAY
        _ => StatusCode.Internal,
    };
}
