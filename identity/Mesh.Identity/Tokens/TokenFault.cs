namespace Mesh.Identity.Tokens;

/// <summary>Why a token was refused: one member per rule. Also the <c>reason</c> label of metrics.</summary>
public enum TokenFault
{
    /// <summary>The token is good.</summary>
    None = 0,
    Missing = 1,
    TooLarge = 2,
    /// <summary>Not three base64url parts of JSON (RFC 7515 section 3.1), or a claim of a wrong type.</summary>
    Malformed = 3,
    /// <summary>An algorithm outside the allow-list; <c>none</c> and the HMAC family are never in it.</summary>
    UnsupportedAlgorithm = 4,
    /// <summary>No published key has this key id, also after looking again.</summary>
    UnknownKey = 5,
    BadSignature = 6,
    /// <summary>After <c>exp</c> plus the allowed skew, or no <c>exp</c> at all: tokens without an end are not accepted.</summary>
    Expired = 7,
    NotYetValid = 8,
    WrongIssuer = 9,
    /// <summary>Our audience is not among the token's audiences; a token without audience is for anyone, so not for us.</summary>
    WrongAudience = 10,
    /// <summary>A valid token of someone who is not a ServiceAccount, or whose claims contradict one another.</summary>
    NotServiceAccount = 11,
    /// <summary>The token is not bound to a pod and the settings demand it.</summary>
    NotBoundToPod = 12,
    /// <summary>The API server said that it does not authenticate this token and nothing more specific.</summary>
    Rejected = 13,
    /// <summary>No key set has been loaded so far.</summary>
    KeysUnavailable = 14,
    /// <summary>The API server did not answer, or refused to review tokens for us.</summary>
    ReviewUnavailable = 15,
    /// <summary>Too many reviews are waiting already.</summary>
    Overloaded = 16,
}
