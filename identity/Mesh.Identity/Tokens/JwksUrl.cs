namespace Mesh.Identity.Tokens;

/// <summary>A JWKS at an address.</summary>
public sealed class JwksUrl : TokenKeySource
{
    private readonly KeyServer _server;

    public JwksUrl(KeyServer server, TimeSpan? refreshInterval = null) : base(server.Address.ToString(), refreshInterval ?? TimeSpan.FromMinutes(5)) => _server = server;

    internal override Task<ReadOnlyMemory<byte>> ReadAsync(CancellationToken ct) => _server.GetAsync(_server.Address, ct);
}
