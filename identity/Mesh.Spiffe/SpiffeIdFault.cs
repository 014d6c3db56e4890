namespace Mesh.Spiffe;

/// <summary>Why a text is not a SPIFFE ID or not a trust domain name: one member per rule of the SPIFFE-ID standard.</summary>
public enum SpiffeIdFault
{
    /// <summary>No fault.</summary>
    None = 0,

    /// <summary>The text is null or empty.</summary>
    Empty = 1,

    /// <summary>More than 2048 bytes (SPIFFE-ID section 2.3).</summary>
    TooLong = 2,

    /// <summary>Does not start with <c>spiffe://</c> in lower case (section 2).</summary>
    WrongScheme = 3,

    /// <summary>Nothing between <c>spiffe://</c> and the path (section 2.1).</summary>
    EmptyTrustDomain = 4,

    /// <summary>A trust domain name of more than 255 bytes (section 2.3).</summary>
    TrustDomainTooLong = 5,

    /// <summary>A character outside <c>[a-z0-9.-_]</c> in the trust domain (section 2.1): upper case, port, userinfo, query, percent sign.</summary>
    BadTrustDomainCharacter = 6,

    /// <summary>Two slashes in a row in the path (section 2.2).</summary>
    EmptySegment = 7,

    /// <summary>A path segment <c>.</c> or <c>..</c> (section 2.2).</summary>
    DotSegment = 8,

    /// <summary>The text ends with a slash (section 2.2).</summary>
    TrailingSlash = 9,

    /// <summary>A character outside <c>[a-zA-Z0-9.-_]</c> in a path segment (section 2.2).</summary>
    BadPathCharacter = 10,
}

/// <summary>The fixed sentence of each <see cref="SpiffeIdFault"/>.</summary>
public static class SpiffeIdFaultSentences
{
    public static string Sentence(this SpiffeIdFault fault) => fault switch
    {
        SpiffeIdFault.None => "The SPIFFE ID is well formed.",
        SpiffeIdFault.Empty => "A SPIFFE ID or trust domain must not be empty.",
        SpiffeIdFault.TooLong => "A SPIFFE ID must not be longer than 2048 bytes.",
        SpiffeIdFault.WrongScheme => "A SPIFFE ID must start with spiffe:// in lower case.",
        SpiffeIdFault.EmptyTrustDomain => "The trust domain must not be empty.",
        SpiffeIdFault.TrustDomainTooLong => "A trust domain name must not be longer than 255 bytes.",
        SpiffeIdFault.BadTrustDomainCharacter => "A trust domain name may hold only lower-case letters, digits, dots, dashes and underscores.",
        SpiffeIdFault.EmptySegment => "The path of a SPIFFE ID must not hold an empty segment.",
        SpiffeIdFault.DotSegment => "The path of a SPIFFE ID must not hold a dot segment: neither one dot nor two.",
        SpiffeIdFault.TrailingSlash => "A SPIFFE ID must not end with a slash.",
        SpiffeIdFault.BadPathCharacter => "A path segment of a SPIFFE ID may hold only letters, digits, dots, dashes and underscores.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}
