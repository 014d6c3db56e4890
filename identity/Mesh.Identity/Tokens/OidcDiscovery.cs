using System.Text.Json;

namespace Mesh.Identity.Tokens;

/// <summary>
/// Keys found by OpenID Connect discovery 1.0: <c>ISSUER/.well-known/openid-configuration</c> names the issuer, which must be the one
/// asked for (section 4.3), and the address of its keys. Both are read every time, because a provider may move its keys.
/// </summary>
public sealed class OidcDiscovery : TokenKeySource
{
    private readonly KeyServer _server;
    private readonly string _issuer;

    /// <param name="server">Its address is where discovery starts: the issuer, or an API server that speaks for it.</param>
    /// <param name="issuer">The issuer as tokens name it, character for character.</param>
    /// <param name="refreshInterval">Null: 5 minutes.</param>
    public OidcDiscovery(KeyServer server, string issuer, TimeSpan? refreshInterval = null) : base(server.Address.ToString(), refreshInterval ?? TimeSpan.FromMinutes(5)) =>
        (_server, _issuer) = (server, issuer);

    internal override async Task<ReadOnlyMemory<byte>> ReadAsync(CancellationToken ct)
    {
        var address = new Uri($"{_server.Address.GetLeftPart(UriPartial.Path).TrimEnd('/')}/.well-known/openid-configuration");
        var keys = ReadConfiguration(await _server.GetAsync(address, ct), address);
        return await _server.GetAsync(keys, ct);
    }

    private Uri ReadConfiguration(ReadOnlyMemory<byte> json, Uri address)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new TokenKeysException($"{address}: not a discovery document");
            if (!JsonText.TryGet(document.RootElement, "issuer", out var issuer) || issuer != _issuer)
                throw new TokenKeysException($"{address}: the document is for issuer {LogText.Clean(issuer ?? "(none)")}, expected {_issuer}");
            if (!JsonText.TryGet(document.RootElement, "jwks_uri", out var text) || !Uri.TryCreate(text, UriKind.Absolute, out var keys) || !KeyServer.IsAcceptable(keys))
                throw new TokenKeysException($"{address}: jwks_uri is missing or not https");
            return keys;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new TokenKeysException($"{address}: not JSON", e);
        }
    }
}
