using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>One thing that is done to requests or responses.</summary>
internal abstract record RouteFilter
{
    private RouteFilter() { }

    internal sealed record ModifyRequest(HeaderModifier Modifier) : RouteFilter;

    internal sealed record ModifyResponse(HeaderModifier Modifier) : RouteFilter;

    internal sealed record RedirectRequest(Redirect Redirect) : RouteFilter;

    /// <summary>Fails so many requests of so many, as HTTP with a status or as gRPC with a code.</summary>
    internal sealed record Fail(bool IsGrpc, int Code, string Message, uint Numerator, uint Denominator) : RouteFilter
    {
        private readonly byte[] _code = Encoding.ASCII.GetBytes(Code.ToString(CultureInfo.InvariantCulture));
        private readonly byte[] _message = Printable(Message);

        public bool Happens(Random random) => Numerator >= Denominator || random.NextInt64(Denominator) < Numerator;

        public void WriteTo(HeaderBlock answer)
        {
            answer.Add(FieldName.Status, IsGrpc ? "200"u8 : _code);
            if (IsGrpc)
            {
                answer.Add(FieldName.ContentType, "application/grpc"u8);
                answer.Add(FieldName.GrpcStatus, _code);
                if (_message.Length > 0) answer.Add(FieldName.GrpcMessage, _message);
            }

            if (_message.Length > 0) answer.Add(FieldName.L5dProxyError, _message);
        }

        // A field's value and a gRPC message (percent-encoded there) alike: letters that need no encoding in either.
        private static byte[] Printable(string message) => Encoding.ASCII.GetBytes(new string([.. message.Take(256).Select(c => c is >= ' ' and <= '~' and not '%' ? c : '?')]).Trim());
    }
}

/// <summary>Filters in the order in which they apply. Immutable.</summary>
internal sealed class RouteFilters(ImmutableArray<RouteFilter> all)
{
    public static RouteFilters None { get; } = new([]);

    public ImmutableArray<RouteFilter> All => all;

    /// <summary>
    /// Changes the request. False: it goes no further, and <paramref name="answer"/> holds the head of the response in its place, which has no body.
    /// </summary>
    /// <param name="request">With the pseudo-fields of HTTP/2.</param>
    /// <param name="match">How it was found.</param>
    /// <param name="random">For failures that happen to some.</param>
    /// <param name="answer">Empty.</param>
    public bool Pass(HeaderBlock request, RouteMatch match, Random random, HeaderBlock answer)
    {
        foreach (var filter in all)
        {
            switch (filter)
            {
                case RouteFilter.ModifyRequest modify:
                    modify.Modifier.Apply(request);
                    break;
                case RouteFilter.Fail fail when fail.Happens(random):
                    fail.WriteTo(answer);
                    return false;
                case RouteFilter.RedirectRequest { Redirect: var redirect } when redirect.WriteTo(request, match.PrefixLength, answer):
                    return false;
            }
        }

        return true;
    }

    public void ApplyToResponse(HeaderBlock response)
    {
        foreach (var filter in all)
            if (filter is RouteFilter.ModifyResponse modify) modify.Modifier.Apply(response);
    }
}
