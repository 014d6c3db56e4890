using System.Text;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.Meta;
using Mesh.Protocol.Outbound;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>
/// Reads the parts of one rule, and remembers the first thing in it that cannot be understood: the rule then refuses its requests instead of treating
/// them in another way than was asked for.
/// </summary>
internal sealed class RuleReader
{
    private const int MaxMatchParts = 16;
    private const int MaxText = 1024;
    private const int MaxRetries = 16;
    private const int MaxRequestBytes = 1024 * 1024;
    private const int MaxStatuses = 100;
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    /// <summary>Null while everything was understood.</summary>
    public string? Fault { get; private set; }

    public void Refuse(string fault) => Fault ??= fault;

    /// <summary>What cannot be read of a match takes any request: so many more are refused, and none slips past.</summary>
    public RequestMatch Match(HttpRouteMatch match)
    {
        if (match.Headers.Count > MaxMatchParts || match.QueryParams.Count > MaxMatchParts) Refuse("a match with too many parts");
        return new RequestMatch(
            Path(match.Path), match.Method is null ? null : Method(match.Method),
            [.. match.Headers.Take(MaxMatchParts).Select(Header).OfType<FieldMatch>()], [.. match.QueryParams.Take(MaxMatchParts).Select(Parameter).OfType<QueryMatch>()]);
    }

    public RequestMatch Match(Protocol.GrpcRoutes.GrpcRouteMatch match)
    {
        if (match.Headers.Count > MaxMatchParts) Refuse("a match with too many parts");
        var (service, method) = (match.Rpc?.Service ?? "", match.Rpc?.Method ?? "");
        if (service.Length > MaxText || method.Length > MaxText) Refuse("a name that is too long");
        return new RequestMatch(new PathPattern.Rpc(service, method), "POST", [.. match.Headers.Take(MaxMatchParts).Select(Header).OfType<FieldMatch>()], []);
    }

    public HostPattern Host(HostMatch match)
    {
        var name = match.MatchCase switch
        {
            HostMatch.MatchOneofCase.Exact => match.Exact,
            HostMatch.MatchOneofCase.Suffix when match.Suffix.ReverseLabels.Count is > 0 and <= 127 => string.Concat(match.Suffix.ReverseLabels.Reverse().Select(label => "." + label)),
            _ => "",
        };
        if (name.Length is > 0 and <= 254 && FieldSyntax.IsAuthority(Encoding.UTF8.GetBytes(name)))
            return match.MatchCase == HostMatch.MatchOneofCase.Exact ? HostPattern.Exact(name) : HostPattern.Suffix(name);
        Refuse("a host that is none");
        return HostPattern.Any;
    }

    /// <summary>Milliseconds; 0 for none.</summary>
    public long Milliseconds(Duration? duration)
    {
        if (duration is null || duration is { Seconds: 0, Nanos: 0 }) return 0;
        if (duration.Seconds >= 0 && duration.Nanos is >= 0 and < 1_000_000_000)
            return (long)Math.Min(Longest.TotalMilliseconds, Math.Max(1, duration.Seconds * 1000.0 + duration.Nanos / 1_000_000));
        Refuse("a duration that is none");
        return 0;
    }

    public RouteTimeouts Timeouts(Timeouts? timeouts, Duration? old) =>
        new(Milliseconds(timeouts?.Request), Milliseconds(timeouts is null ? old : timeouts.Response), Milliseconds(timeouts?.Idle));

    public RetryPolicy? Retry(HttpRoute.Types.Retry? retry)
    {
        if (retry is null) return null;
        if (retry.Conditions is null || retry.Conditions.StatusRanges.Count > MaxStatuses || !retry.Conditions.StatusRanges.All(r => r.Start is >= 100 and <= 999 && r.End is >= 100 and <= 999 && r.Start <= r.End))
            Refuse("conditions of a retry that are none");
        var read = Retry(retry.MaxRetries, retry.MaxRequestBytes, retry.Timeout, retry.Backoff);
        return Fault is null && read is not null ? read with { Statuses = [.. retry.Conditions!.StatusRanges.Select(r => ((int)r.Start, (int)r.End))] } : null;
    }

    public RetryPolicy? Retry(GrpcRoute.Types.Retry? retry)
    {
        if (retry is null) return null;
        if (retry.Conditions is not { } on)
        {
            Refuse("conditions of a retry that are none");
            return null;
        }

        // By the numbers of the status codes.
        var codes = Bit(on.Cancelled, 1) | Bit(on.DeadineExceeded, 4) | Bit(on.ResourceExhausted, 8) | Bit(on.Internal, 13) | Bit(on.Unavailable, 14);
        var read = Retry(retry.MaxRetries, retry.MaxRequestBytes, retry.Timeout, retry.Backoff);
        return read is null ? null : read with { GrpcCodes = codes };

        static uint Bit(bool set, int code) => set ? 1u << code : 0;
    }

    public Balance.ExponentialBackoff? Backoff(Protocol.Outbound.ExponentialBackoff? backoff)
    {
        var read = backoff is null ? null : Balance.ExponentialBackoff.Create(Milliseconds(backoff.MinBackoff), Milliseconds(backoff.MaxBackoff), backoff.JitterRatio);
        if (read is null) Refuse("a back-off that is none");
        return read;
    }

    /// <summary>Text of metrics and logs: of bounded length.</summary>
    public static ResourceName Name(Metadata? metadata)
    {
        return metadata?.KindCase switch
        {
            Metadata.KindOneofCase.Default => ResourceName.Default(Short(metadata.Default)),
            Metadata.KindOneofCase.Resource => new ResourceName(
                Short(metadata.Resource.Group), Short(metadata.Resource.Kind), Short(metadata.Resource.Namespace), Short(metadata.Resource.Name), Short(metadata.Resource.Section),
                (int)Math.Min(metadata.Resource.Port, ushort.MaxValue)),
            _ => ResourceName.Default("unnamed"),
        };

        static string Short(string text) => text.Length <= 253 ? text : text[..253];
    }

    private RetryPolicy? Retry(uint max, uint bytes, Duration? timeout, Protocol.Outbound.ExponentialBackoff? backoff) => max == 0 ? null : new RetryPolicy
    {
        MaxRetries = (int)Math.Min(max, MaxRetries),
        MaxRequestBytes = bytes == 0 ? RetryPolicy.DefaultMaxRequestBytes : (int)Math.Min(bytes, MaxRequestBytes),
        Timeout = Milliseconds(timeout),
        Backoff = backoff is null ? null : Backoff(backoff),
    };

    private PathPattern Path(PathMatch? path)
    {
        switch (path?.KindCase)
        {
            case null:
                return PathPattern.Any;
            case PathMatch.KindOneofCase.Exact when IsPath(path.Exact):
                return new PathPattern.Exact(path.Exact);
            case PathMatch.KindOneofCase.Prefix when IsPath(path.Prefix):
                return new PathPattern.Prefix(path.Prefix);
            case PathMatch.KindOneofCase.Regex when BoundedRegex.Create(path.Regex) is { } regex:
                return new PathPattern.Pattern(regex);
            default:
                Refuse("a path that is none");
                return PathPattern.Any;
        }
    }

    internal static bool IsPath(string path) => path.Length is > 0 and <= MaxText && path[0] == '/' && path.All(c => c is > ' ' and < (char)127 and not '?' and not '#');

    private string? Method(Protocol.HttpTypes.HttpMethod method)
    {
        var name = method.TypeCase switch
        {
            Protocol.HttpTypes.HttpMethod.TypeOneofCase.Registered => method.Registered.ToString().ToUpperInvariant(),
            Protocol.HttpTypes.HttpMethod.TypeOneofCase.Unregistered => method.Unregistered,
            _ => "",
        };
        if (name.Length <= 64 && FieldSyntax.IsToken(Encoding.UTF8.GetBytes(name))) return name;
        Refuse("a method that is none");
        return null;
    }

    private FieldMatch? Header(HeaderMatch match)
    {
        var value = match.ValueCase switch
        {
            HeaderMatch.ValueOneofCase.Exact when match.Exact.Length <= HeaderModifier.MaxValue => new ValuePattern(match.Exact.Span),
            HeaderMatch.ValueOneofCase.Regex when BoundedRegex.Create(match.Regex) is { } regex => new ValuePattern(regex),
            _ => null,
        };
        if (value is not null && match.Name.Length <= MaxText && FieldSyntax.IsToken(Encoding.UTF8.GetBytes(match.Name))) return new FieldMatch(match.Name, value);
        Refuse("a header match that is none");
        return null;
    }

    private QueryMatch? Parameter(QueryParamMatch match)
    {
        var value = match.ValueCase switch
        {
            QueryParamMatch.ValueOneofCase.Exact when match.Exact.Length <= MaxText => new ValuePattern(Encoding.UTF8.GetBytes(match.Exact)),
            QueryParamMatch.ValueOneofCase.Regex when BoundedRegex.Create(match.Regex) is { } regex => new ValuePattern(regex),
            _ => null,
        };
        if (value is not null && match.Name.Length is > 0 and <= MaxText) return new QueryMatch(match.Name, value);
        Refuse("a query match that is none");
        return null;
    }
}
