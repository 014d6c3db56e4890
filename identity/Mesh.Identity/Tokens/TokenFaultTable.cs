namespace Mesh.Identity.Tokens;

/// <summary>What each <see cref="TokenFault"/> says to the caller, in metrics, and as a gRPC status code.</summary>
public static class TokenFaultTable
{
    // Numbers of the gRPC status codes.
    private const int InvalidArgument = 3, PermissionDenied = 7, Unavailable = 14, Unauthenticated = 16;

    /// <summary>The gRPC status code as its number; 0 for <see cref="TokenFault.None"/>.</summary>
    public static int GrpcCode(TokenFault fault) => Row(fault).Code;

    public static string Sentence(TokenFault fault) => Row(fault).Sentence;

    /// <summary>snake_case name for metrics and logs.</summary>
    public static string Label(TokenFault fault) => Row(fault).Label;

    private static (int Code, string Label, string Sentence) Row(TokenFault fault) => fault switch
    {
        TokenFault.None => (0, "none", "The token is valid."),
        TokenFault.Missing => (InvalidArgument, "token_missing", "The request carries no token."),
        TokenFault.TooLarge => (InvalidArgument, "token_too_large", "The token is larger than 16 kB."),
        TokenFault.Malformed => (InvalidArgument, "token_malformed", "The token is not a well-formed signed JWT."),
        TokenFault.UnsupportedAlgorithm => (Unauthenticated, "token_algorithm", "The token is signed with an algorithm that is not accepted."),
        TokenFault.UnknownKey => (Unauthenticated, "token_unknown_key", "The token is signed with a key that its issuer does not publish."),
        TokenFault.BadSignature => (Unauthenticated, "token_bad_signature", "The token's signature is wrong."),
        TokenFault.Expired => (Unauthenticated, "token_expired", "The token has expired."),
        TokenFault.NotYetValid => (Unauthenticated, "token_not_yet_valid", "The token is not valid yet."),
        TokenFault.WrongIssuer => (Unauthenticated, "token_wrong_issuer", "The token was issued by another issuer than the one trusted here."),
        TokenFault.WrongAudience => (Unauthenticated, "token_wrong_audience", "The token is not meant for this service."),
        TokenFault.NotServiceAccount => (PermissionDenied, "token_not_service_account", "The token does not belong to a ServiceAccount."),
        TokenFault.NotBoundToPod => (PermissionDenied, "token_not_bound_to_pod", "The token is not bound to a pod."),
        TokenFault.Rejected => (Unauthenticated, "token_rejected", "The API server does not accept the token."),
        TokenFault.KeysUnavailable => (Unavailable, "token_keys_unavailable", "The keys to check tokens with are not available yet."),
        TokenFault.ReviewUnavailable => (Unavailable, "token_review_unavailable", "The API server cannot review tokens at present."),
        TokenFault.Overloaded => (Unavailable, "token_reviews_overloaded", "Too many tokens are waiting to be reviewed."),
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}
