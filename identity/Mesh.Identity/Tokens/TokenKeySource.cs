namespace Mesh.Identity.Tokens;

/// <summary>Where an issuer's key set (JWKS) is read from: <see cref="JwksFile"/>, <see cref="JwksUrl"/> or <see cref="OidcDiscovery"/>.</summary>
public abstract class TokenKeySource
{
    private protected TokenKeySource(string description, TimeSpan refreshInterval) => (Description, RefreshInterval) = (description, refreshInterval);

    /// <summary>The path or address, for logs.</summary>
    public string Description { get; }

    /// <summary>How often to read again when nothing asks for it sooner.</summary>
    public TimeSpan RefreshInterval { get; }

    /// <summary>Reads the document: at most <see cref="TokenLimits.MaxDocumentBytes"/>.</summary>
    /// <exception cref="TokenKeysException">It cannot be read.</exception>
    internal abstract Task<ReadOnlyMemory<byte>> ReadAsync(CancellationToken ct);

    /// <summary>Calls back when the source itself reports a change, until cancelled; returns at once where only reading again can tell.</summary>
    internal virtual Task WatchAsync(Action changed, TimeProvider time, CancellationToken ct) => Task.CompletedTask;
}
