namespace Mesh.Identity.Tokens;

/// <summary>What a token must say to be accepted.</summary>
public sealed record TokenExpectations
{
    /// <param name="issuer">The <c>iss</c> claim, character for character.</param>
    /// <param name="audience">Must be among the <c>aud</c> claims.</param>
    /// <exception cref="ArgumentException">One of them is empty: neither check can be switched off.</exception>
    public TokenExpectations(string issuer, string audience)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(issuer);
        ArgumentException.ThrowIfNullOrWhiteSpace(audience);
        (Issuer, Audience) = (issuer, audience);
    }

    public string Issuer { get; }
    public string Audience { get; }

    /// <summary>How far our clock and the issuer's may be apart when <c>exp</c> and <c>nbf</c> are judged.</summary>
    public TimeSpan ClockSkew { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Whether the token must be bound to a pod, as projected tokens are.</summary>
    public bool RequirePod { get; init; }
}
