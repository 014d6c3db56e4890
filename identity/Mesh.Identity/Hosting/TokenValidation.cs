using Mesh.Identity.Settings;
using Mesh.Identity.Tokens;
using Mesh.Kubernetes;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Hosting;

/// <summary>The validator that the settings ask for, and what has to be released with it.</summary>
internal sealed class TokenValidation : IDisposable
{
    private readonly IDisposable? _server;

    private TokenValidation(ITokenValidator validator, IDisposable? server) => (Validator, _server) = (validator, server);

    public ITokenValidator Validator { get; }

    public static TokenValidation Create(IdentitySettings settings, TimeProvider time, ILoggerFactory logs)
    {
        switch (settings.Tokens)
        {
            case TokenSource.JwksFile file:
                return Local(new JwksFile(file.Path), file.Issuer, null);
            case TokenSource.JwksUrl url:
                var keys = new KeyServer(url.Url, url.AuthoritiesFile, url.BearerTokenFile);
                return Local(new JwksUrl(keys), url.Issuer, keys);
            case TokenSource.OidcDiscovery oidc:
                var provider = new KeyServer(oidc.Address, oidc.AuthoritiesFile, oidc.BearerTokenFile);
                return Local(new OidcDiscovery(provider, oidc.Issuer), oidc.Issuer, provider);
            case TokenSource.TokenReview review:
                var reviews = new TokenReviewValidator(new KubernetesClient(review.ApiServer, time), settings.TokenAudience, time, logs.CreateLogger<TokenReviewValidator>()) { RequirePod = settings.TokenRequirePod };
                return new TokenValidation(reviews, reviews);
            default:
                throw new NotSupportedException($"Token validation by {settings.Tokens.GetType().Name} is not built in.");
        }

        TokenValidation Local(TokenKeySource source, string issuer, IDisposable? keyServer)
        {
            var expected = new TokenExpectations(issuer, settings.TokenAudience) { ClockSkew = settings.ClockSkew, RequirePod = settings.TokenRequirePod };
            var validator = new JwksTokenValidator(new TokenKeyStore(source, time, logs.CreateLogger<TokenKeyStore>()), expected, time);
            return new TokenValidation(validator, keyServer);
        }
    }

    public void Dispose() => _server?.Dispose();
}
