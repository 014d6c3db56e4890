namespace Mesh.Proxy.Discovery;

internal enum ResolutionKind
{
    /// <summary>Discovery has answered; the answer may be that there are no endpoints.</summary>
    Found = 0,

    /// <summary>Discovery has answered that there is no such service.</summary>
    NotFound = 1,

    /// <summary>Discovery has never answered, and does not now.</summary>
    Unavailable = 2,
}

/// <summary>What discovery knows of an authority at the moment of asking.</summary>
/// <param name="Kind">Whether it knows anything.</param>
/// <param name="Endpoints">The endpoints when <see cref="ResolutionKind.Found"/>.</param>
/// <param name="Stale">Whether this is the last that was heard before discovery went away.</param>
internal readonly record struct Resolution(ResolutionKind Kind, EndpointSet? Endpoints, bool Stale);

/// <summary>What discovery knows of an address; <see cref="Resolution"/> says what the members mean.</summary>
internal readonly record struct ProfileResolution(ResolutionKind Kind, ServiceProfile? Profile, bool Stale);
