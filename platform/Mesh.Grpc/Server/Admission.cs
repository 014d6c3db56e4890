using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Mesh.Grpc.Server;

/// <summary>Which requests are gRPC at all (gRPC over HTTP2, "Requests"). The others get plain HTTP answers.</summary>
internal static class Admission
{
    private const string Grpc = "application/grpc";

    /// <summary>False: the request is answered.</summary>
    public static bool IsGrpc(HttpContext http)
    {
        if (http.Request.Protocol is not ("HTTP/2" or "HTTP/3"))
        {
            http.Response.StatusCode = StatusCodes.Status426UpgradeRequired;
            http.Response.Headers.Upgrade = "HTTP/2";
            return false;
        }

        if (IsGrpcContent(http.Request.ContentType)) return true;
        http.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
        return false;
    }

    public static bool IsGrpcContent(string? contentType) =>
        contentType is not null && contentType.StartsWith(Grpc, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == Grpc.Length || contentType[Grpc.Length] is ';' or '+' && !contentType.AsSpan(Grpc.Length).StartsWith("+json", StringComparison.OrdinalIgnoreCase));

    /// <summary>The answer to a method that no service has.</summary>
    public static Task RefuseUnknownAsync(HttpContext http)
    {
        if (http.Request.Method != HttpMethods.Post || !IsGrpcContent(http.Request.ContentType) || http.Request.Protocol != "HTTP/2")
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        http.Response.ContentType = Grpc;
        http.Response.Headers.GrpcStatus = ((int)StatusCode.Unimplemented).ToString(null, null);
        http.Response.Headers.GrpcMessage = "There is no such method.";
        return Task.CompletedTask;
    }
}
