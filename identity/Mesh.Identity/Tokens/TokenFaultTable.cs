using Grpc.Core;

namespace Mesh.Identity.Tokens;

/// <summary>What each <see cref="TokenFault"/> says to the caller, in metrics, and as a gRPC status code.</summary>
public static class TokenFaultTable
{
    public static StatusCode GrpcCode(TokenFault fault) => Row(fault).Code;

    public static string Sentence(TokenFault fault) => Row(fault).Sentence;

    /// <summary>snake_case name for metrics and logs.</summary>
    public static string Label(TokenFault fault) => Row(fault).Label;

    private static (StatusCode Code, string Label, string Sentence) Row(TokenFault fault) => fault switch
    {
        TokenFault.None => (StatusCode.OK, "none", "The token is valid."),
        TokenFault.Missing => (StatusCode.InvalidArgument, "token_missing", "The request carries no token."),
        TokenFault.TooLarge => (StatusCode.InvalidArgument, "token_too_large", "The token is larger than 16 kB."),
        TokenFault.Malformed => (StatusCode.InvalidArgument, "token_malformed", "The token is not a well-formed signed JWT."),
        TokenFault.UnsupportedAlgorithm => (StatusCode.Unauthenticated, "token_algorithm", "The token is signed with an algorithm that is not accepted."),
        TokenFault.UnknownKey => (StatusCode.Unauthenticated, "token_unknown_key", "The token is signed with a key that its issuer does not publish."),
        TokenFault.BadSignature => (StatusCode.Unauthenticated, "token_bad_signature", "The token's signature is wrong."),
        TokenFault.Expired => (StatusCode.Unauthenticated, "token_expired", "The token has expired."),
        TokenFault.NotYetValid => (StatusCode.Unauthenticated, "token_not_yet_valid", "The token is not valid yet."),
        TokenFault.WrongIssuer => (StatusCode.Unauthenticated, "token_wrong_issuer", "The token was issued by another issuer than the one trusted here."),
        TokenFault.WrongAudience => (StatusCode.Unauthenticated, "token_wrong_audience", "The token is not meant for this service."),
        TokenFault.NotServiceAccount => (StatusCode.PermissionDenied, "token_not_service_account", "The token does not belong to a ServiceAccount."),
        TokenFault.NotBoundToPod => (StatusCode.PermissionDenied, "token_not_bound_to_pod", "The token is not bound to a pod."),
        TokenFault.Rejected => (StatusCode.Unauthenticated, "token_rejected", "The API server does not accept the token."),
        TokenFault.KeysUnavailable => (StatusCode.Unavailable, "token_keys_unavailable", "The keys to check tokens with are not available yet."),
        TokenFault.ReviewUnavailable => (StatusCode.Unavailable, "token_review_unavailable", "The API server cannot review tokens at present."),
        TokenFault.Overloaded => (StatusCode.Unavailable, "token_reviews_overloaded", "Too many tokens are waiting to be reviewed."),
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}
