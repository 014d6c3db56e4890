using System.Runtime.InteropServices;
using System.Text;
using Mesh.Identity.Tokens;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;

namespace Mesh.Identity.Tests.Tokens;

public sealed class TokenKeyStoreTests : IAsyncLifetime
{
    private const string IssuerName = "https://issuer.example";
    private const string Audience = "identity.l5d.io";
    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();
    private readonly CapturedLog _log = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TokenIssuer _first;
    private readonly TokenIssuer _second;
    private readonly List<Task> _loops = [];
    private KeyHost _host = null!;

    public TokenKeyStoreTests()
    {
        _first = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
        _second = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
    }

    public async ValueTask InitializeAsync() => _host = await KeyHost.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_loops);
        await _host.DisposeAsync();
        _first.Dispose();
        _second.Dispose();
        _directory.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task Reads_a_file_and_follows_its_changes()
    {
        var path = _directory.File("jwks.json");
        TokenIssuer.WriteJwks(path, _first);
        var (store, validator) = Start(new JwksFile(path));
        await Until(() => store.NotReadyReason is null);
        Assert.True((await JudgeAsync(validator, _first)).IsValid);

        TokenIssuer.WriteJwks(path, _first, _second);
        await AdvanceUntil(() => store.Current?.Count == 2);
        Assert.True((await JudgeAsync(validator, _second)).IsValid);
        Assert.True((await JudgeAsync(validator, _first)).IsValid);

        TokenIssuer.WriteJwks(path, _second);
        await AdvanceUntil(() => store.Current?.Count == 1);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TokenFault.UnknownKey, (await JudgeAsync(validator, _first)).Fault);
    }

    [Fact]
    public async Task Follows_the_link_swap_of_a_mounted_ConfigMap()
    {
        Directory.CreateDirectory(_directory.File("..1"));
        Directory.CreateDirectory(_directory.File("..2"));
        TokenIssuer.WriteJwks(_directory.File("..1/jwks.json"), _first);
        TokenIssuer.WriteJwks(_directory.File("..2/jwks.json"), _first, _second);
        File.CreateSymbolicLink(_directory.File("..data"), "..1");
        File.CreateSymbolicLink(_directory.File("jwks.json"), "..data/jwks.json");
        var (store, _) = Start(new JwksFile(_directory.File("jwks.json")));
        await Until(() => store.Current?.Count == 1);
        File.CreateSymbolicLink(_directory.File("..data_tmp"), "..2");
        Assert.Equal(0, Rename(_directory.File("..data_tmp"), _directory.File("..data")));
        await AdvanceUntil(() => store.Current?.Count == 2);
    }

    [Fact]
    public async Task Polls_a_file_whose_directory_appears_only_later()
    {
        var path = _directory.File("later/jwks.json");
        var (store, validator) = Start(new JwksFile(path));
        await Until(() => store.FailedReads == 1);
        Assert.Equal(TokenFault.KeysUnavailable, (await JudgeAsync(validator, _first)).Fault);
        Assert.Contains("later/jwks.json", store.NotReadyReason, StringComparison.Ordinal);

        Directory.CreateDirectory(_directory.File("later"));
        TokenIssuer.WriteJwks(path, _first);
        await AdvanceUntil(() => store.NotReadyReason is null);
        Assert.True((await JudgeAsync(validator, _first)).IsValid);
        Assert.Equal(1, _log.Count(1500));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{\"keys\":[]}")]
    [InlineData("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}")]
    [InlineData("{\"keys\":[],\"keys\":[]}")]
    public async Task Keeps_the_last_good_keys_when_a_file_turns_bad(string bad)
    {
        var path = _directory.File("jwks.json");
        TokenIssuer.WriteJwks(path, _first);
        var (store, validator) = Start(new JwksFile(path));
        await Until(() => store.NotReadyReason is null);
        _directory.Write("jwks.json", bad);
        await AdvanceUntil(() => store.FailedReads > 0);
        Assert.True((await JudgeAsync(validator, _first)).IsValid);
        Assert.Null(store.NotReadyReason);
        Assert.True(_log.Count(1502) > 0);

        TokenIssuer.WriteJwks(path, _second);
        await AdvanceUntil(() => store.Current!.KeyIds.Contains(_second.KeyId));
    }

    [Fact]
    public async Task Refuses_a_document_over_the_size_limit()
    {
        var path = _directory.Write("jwks.json", "{\"keys\":[" + new string(' ', TokenLimits.MaxDocumentBytes) + "]}");
        var (store, _) = Start(new JwksFile(path));
        await Until(() => store.FailedReads == 1);
        Assert.Contains("larger than", store.NotReadyReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Looks_again_at_once_when_a_token_names_a_new_key()
    {
        Publish(_first);
        var (store, validator) = Start(new JwksUrl(new KeyServer(_host.Address, null, null)));
        await Until(() => store.NotReadyReason is null);
        Publish(_first, _second);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True((await JudgeAsync(validator, _second)).IsValid);
        Assert.Equal(2, _host.Requests);
    }

    [Fact]
    public async Task Asks_the_key_server_once_however_many_unknown_keys_are_named()
    {
        Publish(_first);
        var (store, validator) = Start(new JwksUrl(new KeyServer(_host.Address, null, null)));
        await Until(() => store.NotReadyReason is null);
        _time.Advance(TimeSpan.FromSeconds(1));
        var verdicts = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => JudgeAsync(validator, _second)));
        Assert.All(verdicts, v => Assert.Equal(TokenFault.UnknownKey, v.Fault));
        for (var i = 0; i < 50; i++) Assert.Equal(TokenFault.UnknownKey, (await JudgeAsync(validator, _second)).Fault);
        Assert.InRange(_host.Requests, 2, 3);

        // A key that was published just after the last look is found without a further demand, when the pause is over.
        Publish(_first, _second);
        await AdvanceUntil(() => store.Current?.Count == 2);
        Assert.True(_time.GetUtcNow() < new DateTimeOffset(2026, 1, 1, 0, 0, 30, TimeSpan.Zero));
    }

    [Fact]
    public async Task Does_not_keep_a_caller_waiting_for_a_key_server_that_hangs()
    {
        Publish(_first);
        var (store, validator) = Start(new JwksUrl(new KeyServer(_host.Address, null, null)));
        await Until(() => store.NotReadyReason is null);
        _host.Answer = context => Task.Delay(Timeout.Infinite, context.RequestAborted);
        _time.Advance(TimeSpan.FromSeconds(1));
        var waiting = JudgeAsync(validator, _second);
        await Until(() => _host.Requests == 2);
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(TokenFault.UnknownKey, (await waiting).Fault);
        Assert.True((await JudgeAsync(validator, _first)).IsValid);
        _time.Advance(TimeSpan.FromSeconds(8));
        await Until(() => store.FailedReads == 1);
    }

    [Fact]
    public async Task Reads_again_at_intervals_that_replicas_do_not_share()
    {
        Publish(_first);
        var (store, _) = Start(new JwksUrl(new KeyServer(_host.Address, null, null), TimeSpan.FromMinutes(5)));
        await Until(() => store.NotReadyReason is null);
        Publish(_second);
        await Until(() => _time.PendingTimers > 0);
        _time.Advance(TimeSpan.FromSeconds(269));
        Assert.Equal(1, _host.Requests);
        _time.Advance(TimeSpan.FromSeconds(2));
        await Until(() => store.Current!.KeyIds.Contains(_second.KeyId));
    }

    [Theory]
    [InlineData(404)]
    [InlineData(500)]
    [InlineData(302)]
    public async Task Retries_a_key_server_that_fails_and_takes_no_redirect(int code)
    {
        _host.Answer = context =>
        {
            context.Response.StatusCode = code;
            context.Response.Headers.Location = "/elsewhere";
            return Task.CompletedTask;
        };
        var (store, _) = Start(new JwksUrl(new KeyServer(_host.Address, null, null)));
        await Until(() => store.FailedReads == 1);
        Assert.Equal(1, _host.Requests);
        Assert.Contains($"the server answered {code}", store.NotReadyReason, StringComparison.Ordinal);
        Publish(_first);
        await AdvanceUntil(() => store.NotReadyReason is null);
    }

    [Fact]
    public async Task Stops_reading_a_document_without_end()
    {
        _host.Answer = async context =>
        {
            var chunk = new byte[65536];
            for (var i = 0; i < 1000; i++) await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
        };
        var (store, _) = Start(new JwksUrl(new KeyServer(_host.Address, null, null)));
        await Until(() => store.FailedReads == 1);
        Assert.Contains("larger than", store.NotReadyReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Finds_keys_by_discovery()
    {
        _directory.Write("token", "bearer-1\n");
        _host.Answer = context => context.Request.Headers.Authorization.ToString() != "Bearer bearer-1"
            ? Respond(context, 401, "")
            : context.Request.Path.Value switch
            {
                "/base/.well-known/openid-configuration" => Respond(context, 200, $$"""{"issuer":"{{IssuerName}}","jwks_uri":"{{_host.Address}}keys","id_token_signing_alg_values_supported":["ES256"]}"""),
                "/keys" => Respond(context, 200, Encoding.UTF8.GetString(TokenIssuer.ToJwks(_first))),
                _ => Respond(context, 404, ""),
            };
        var (store, validator) = Start(new OidcDiscovery(new KeyServer(new Uri(_host.Address, "/base/"), null, _directory.File("token")), IssuerName));
        await Until(() => store.Reads + store.FailedReads > 0);
        Assert.Null(store.NotReadyReason);
        Assert.True((await JudgeAsync(validator, _first)).IsValid);
        Assert.Equal(2, _host.Requests);
    }

    [Fact]
    public async Task Does_not_hand_its_bearer_token_to_another_origin()
    {
        _directory.Write("token", "bearer-1");
        await using var elsewhere = await KeyHost.StartAsync();
        string? seen = null;
        elsewhere.Answer = context =>
        {
            seen = context.Request.Headers.Authorization;
            return Respond(context, 200, Encoding.UTF8.GetString(TokenIssuer.ToJwks(_first)));
        };
        _host.Answer = context => Respond(context, 200, $$"""{"issuer":"{{IssuerName}}","jwks_uri":"{{elsewhere.Address}}keys"}""");
        var (store, _) = Start(new OidcDiscovery(new KeyServer(_host.Address, null, _directory.File("token")), IssuerName));
        await Until(() => store.NotReadyReason is null);
        Assert.Equal(1, elsewhere.Requests);
        Assert.True(string.IsNullOrEmpty(seen));
    }

    [Theory]
    [InlineData("""{"issuer":"https://other.example","jwks_uri":"http://127.0.0.1:1/"}""", "is for issuer https://other.example, expected https://issuer.example")]
    [InlineData("""{"issuer":"https://issuer.example"}""", "jwks_uri is missing or not https")]
    [InlineData("""{"issuer":"https://issuer.example","jwks_uri":"http://169.254.169.254/keys"}""", "jwks_uri is missing or not https")]
    [InlineData("""{"issuer":"https://issuer.example","jwks_uri":"file:///etc/passwd"}""", "jwks_uri is missing or not https")]
    [InlineData("[]", "not a discovery document")]
    [InlineData("<html>", "not JSON")]
    public async Task Refuses_a_discovery_document_that_is_not_the_issuers(string document, string reason)
    {
        _host.Answer = context => Respond(context, 200, document);
        var (store, _) = Start(new OidcDiscovery(new KeyServer(_host.Address, null, null), IssuerName));
        await Until(() => store.FailedReads == 1);
        Assert.Contains(reason, store.NotReadyReason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://issuer.example/keys")]
    [InlineData("ftp://127.0.0.1/keys")]
    [InlineData("https://user:password@issuer.example/keys")]
    public void Refuses_an_address_that_anyone_could_answer_for(string address) =>
        Assert.Throws<ArgumentException>(() => new KeyServer(new Uri(address), null, null));

    [Fact]
    public async Task Leaves_out_keys_it_cannot_use_and_says_so()
    {
        var good = Encoding.UTF8.GetString(TokenIssuer.ToJwks(_first))[..^2];
        var path = _directory.Write("jwks.json", good + """
            ,{"kty":"EC","crv":"P-256","kid":"off-curve","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}
            ,{"kty":"RSA","kid":"short","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4","e":"AQAB"}
            ,{"kty":"RSA","kid":"for-encryption","use":"enc","n":"AQ","e":"AQAB"}
            ,{"kty":"EC","crv":"secp256k1","kid":"odd-curve","x":"AA","y":"AA"}
            ,{"kty":"OKP","crv":"Ed25519","kid":"edwards","x":"AA"}
            ,{"kty":"RSA","kid":"alg","alg":"RSA-OAEP","n":"AQ","e":"AQAB"}, 7]}
            """);
        var (store, _) = Start(new JwksFile(path));
        await Until(() => store.NotReadyReason is null);
        Assert.Equal([_first.KeyId], store.Current!.KeyIds);
        Assert.Equal(7, store.Current.LeftOut.Length);
        var line = Assert.Single(_log.Lines, l => l.Id.Id == 1501).Text;
        Assert.Contains("key short has about 1024 bits", line, StringComparison.Ordinal);
        Assert.Contains("key off-curve cannot be imported", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Survives_any_document()
    {
        var seed = TokenIssuer.ToJwks(_first, _second);
        var random = new Random(11);
        for (var i = 0; i < 3000; i++)
        {
            var changed = (byte[])[.. seed];
            for (var n = random.Next(1, 5); n > 0; n--) changed[random.Next(changed.Length)] = (byte)random.Next(256);
            Assert.Equal(TokenKeySet.TryParse(changed.AsMemory(0, random.Next(changed.Length + 1)), out var keys, out var fault), keys is not null && fault.Length == 0);
        }
    }

    // The framework cannot replace one link to a directory by another in one step, as the kubelet does.
    [DllImport("libc", EntryPoint = "rename")]
    private static extern int Rename([MarshalAs(UnmanagedType.LPUTF8Str)] string from, [MarshalAs(UnmanagedType.LPUTF8Str)] string to);

    private (TokenKeyStore Store, JwksTokenValidator Validator) Start(TokenKeySource source)
    {
        var store = new TokenKeyStore(source, _time, _log, () => 0.5);
        var validator = new JwksTokenValidator(store, new TokenExpectations(IssuerName, Audience), _time);
        _loops.Add(validator.RunAsync(_stop.Token));
        return (store, validator);
    }

    private void Publish(params TokenIssuer[] issuers)
    {
        var document = Encoding.UTF8.GetString(TokenIssuer.ToJwks(issuers));
        _host.Answer = context => Respond(context, 200, document);
    }

    private static Task Respond(HttpContext context, int code, string body)
    {
        context.Response.StatusCode = code;
        return context.Response.WriteAsync(body);
    }

    private static async Task<TokenVerdict> JudgeAsync(JwksTokenValidator validator, TokenIssuer issuer) =>
        await validator.ValidateAsync(Encoding.ASCII.GetBytes(issuer.Issue("shop", "web", Audience, TimeSpan.FromHours(1))), TestContext.Current.CancellationToken);

    // Waits for another thread's work; the test's own timeout bounds it.
    private static async Task Until(Func<bool> condition)
    {
        while (!condition()) await Task.Delay(2, TestContext.Current.CancellationToken);
    }

    private async Task AdvanceUntil(Func<bool> condition)
    {
        while (!condition())
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(2, TestContext.Current.CancellationToken);
        }
    }
}
