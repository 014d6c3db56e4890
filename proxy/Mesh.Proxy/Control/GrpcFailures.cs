using System.Globalization;
using System.Net;
using System.Security.Authentication;
using Mesh.Grpc.Wire;

namespace Mesh.Proxy.Control;

/// <summary>Brings the failures of HTTP and TLS to the form of gRPC (gRPC over HTTP2, "HTTP2 Transport Mapping").</summary>
internal static class GrpcFailures
{
    private const int LongestSentence = 512;

    public static GrpcCallException From(Exception e)
    {
        for (Exception? cause = e; cause is not null; cause = cause.InnerException)
        {
            if (cause is ServerRefusedException refused)
            {
                return new GrpcCallException(GrpcStatusCode.Unavailable, $"the server was refused: {refused.Message}", e) { RefusedServer = refused.Verdict };
            }

            if (cause is AuthenticationException tls) return new GrpcCallException(GrpcStatusCode.Unavailable, $"the TLS handshake failed: {Innermost(tls).Message}", e);
        }

        return new GrpcCallException(GrpcStatusCode.Unavailable, Innermost(e).Message, e);
    }

    /// <summary>The failure that an answer's status line and headers speak of; null when it is a gRPC answer.</summary>
    public static GrpcCallException? FromHead(HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            GrpcStatusCode code = response.StatusCode switch
            {
                HttpStatusCode.BadRequest => GrpcStatusCode.Internal,
                HttpStatusCode.Unauthorized => GrpcStatusCode.Unauthenticated,
                HttpStatusCode.Forbidden => GrpcStatusCode.PermissionDenied,
                HttpStatusCode.NotFound => GrpcStatusCode.Unimplemented,
                HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => GrpcStatusCode.Unavailable,
                _ => GrpcStatusCode.Unknown,
            };
            return new GrpcCallException(code, string.Create(CultureInfo.InvariantCulture, $"the server answered with HTTP status {(int)response.StatusCode}"));
        }

        string? type = response.Content.Headers.ContentType?.MediaType;
        return type is not null && (type == "application/grpc" || type.StartsWith("application/grpc+", StringComparison.Ordinal))
            ? null
            : new GrpcCallException(GrpcStatusCode.Unknown, "the server's answer is not gRPC");
    }

    /// <summary>The status that ended a call: in the trailers, or in the headers of an answer that is only trailers. Null for OK.</summary>
    public static GrpcCallException? FromTrailers(HttpResponseMessage response)
    {
        if (!TryGet("grpc-status", out string? status)) return new GrpcCallException(GrpcStatusCode.Unavailable, "the server ended the call without a status");
        if (!int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out int number)) number = (int)GrpcStatusCode.Unknown;
        if (number == 0) return null;
        string message = TryGet("grpc-message", out string? text) ? GrpcMessageText.Decode(text!) : "";
        if (message.Length > LongestSentence) message = message[..LongestSentence];
        // Numbers of a later protocol are unknown ones.
        return new GrpcCallException(number > (int)GrpcStatusCode.Unauthenticated ? GrpcStatusCode.Unknown : (GrpcStatusCode)number, message);

        bool TryGet(string name, out string? value)
        {
            value = null;
            if (!response.TrailingHeaders.TryGetValues(name, out IEnumerable<string>? values) && !response.Headers.TryGetValues(name, out values)) return false;
            value = values.First();
            return true;
        }
    }

    private static Exception Innermost(Exception e)
    {
        while (e.InnerException is { } inner) e = inner;
        return e;
    }
}
