using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests;

/// <summary>Real handshakes over loopback, with our options at both ends or a stranger's at one.</summary>
public sealed class SvidTlsTests : IDisposable
{
    private static readonly SpiffeId WebId = SpiffeId.Parse("spiffe://example.org/ns/shop/sa/web");
    private static readonly SpiffeId ClientId = SpiffeId.Parse("spiffe://example.org/ns/shop/sa/client");

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly TestAuthority _root;
    private readonly TestAuthority _issuer;
    private readonly X509Svid _web;
    private readonly X509Svid _client;

    public SvidTlsTests()
    {
        _root = TestAuthority.CreateRoot(time: _time);
        _issuer = _root.CreateIntermediate();
        _web = _issuer.CreateSvid(WebId);
        _client = _issuer.CreateSvid(ClientId);
    }

    [Fact]
    public async Task Both_ends_know_each_other_over_TLS_1_3()
    {
        var result = await Handshake(Server(), Client());
        Assert.Equal((null, null), (result.ServerError, result.ClientError));
        Assert.Equal(SslProtocols.Tls13, result.Protocol);
        Assert.Equal(WebId, Assert.Single(result.ServerVerdicts).Id);
        Assert.Equal(ClientId, Assert.Single(result.ClientVerdicts).Id);
        Assert.Equal("ping", result.Received);
    }

    [Fact]
    public async Task The_intermediates_are_sent_and_the_root_is_not()
    {
        var deep = _issuer.CreateIntermediate();
        using var web = deep.CreateSvid(WebId);
        using var client = deep.CreateSvid(ClientId);
        string[] sent = [];
        var options = Client(client);
        var judge = options.RemoteCertificateValidationCallback!;
        options.RemoteCertificateValidationCallback = (sender, certificate, chain, errors) =>
        {
            sent = [.. chain!.ChainPolicy.ExtraStore.Select(c => c.GetCertHashString(HashAlgorithmName.SHA256).ToLowerInvariant())];
            return judge(sender, certificate, chain, errors);
        };
        var result = await Handshake(Server(web), options);
        Assert.Null(result.ServerError);
        // On the client's side the framework counts the leaf in.
        Assert.Equal(web.Chain.Select(c => c.Sha256).Order(), sent.Order());
        Assert.DoesNotContain(_root.Certificate.Sha256, sent);
    }

    [Fact]
    public async Task The_longest_chain_that_is_allowed_passes_both_ways()
    {
        var issuer = _root;
        for (var i = 0; i < SvidVerifier.MaxIntermediates; i++) issuer = issuer.CreateIntermediate();
        using var web = issuer.CreateSvid(WebId);
        using var client = issuer.CreateSvid(ClientId);
        Assert.Equal(web.Chain.Length - 1, web.ToSslContext().IntermediateCertificates.Count);
        var result = await Handshake(Server(web), Client(client));
        Assert.Equal(SvidFault.None, Assert.Single(result.ServerVerdicts).Fault);
        Assert.Equal((null, null), (result.ServerError, result.ClientError));
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_refused_when_one_is_required()
    {
        var result = await Handshake(Server(), Client(withSvid: false));
        Assert.IsType<AuthenticationException>(result.ServerError);
        Assert.Equal(SvidFault.NoCertificate, Assert.Single(result.ClientVerdicts).Fault);
        Assert.NotEqual("ping", result.Received);
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_served_when_one_is_optional()
    {
        var result = await Handshake(Server(clients: ClientCertificates.Optional), Client(withSvid: false));
        Assert.Equal((null, null), (result.ServerError, result.ClientError));
        Assert.Equal(SvidFault.NoCertificate, Assert.Single(result.ClientVerdicts).Fault);
        Assert.Equal("ping", result.Received);
    }

    [Fact]
    public async Task A_client_with_a_bad_certificate_is_refused_even_when_it_is_optional()
    {
        using var stranger = TestAuthority.CreateRoot(time: _time).CreateSvid(ClientId);
        var result = await Handshake(Server(clients: ClientCertificates.Optional), Client(stranger));
        Assert.IsType<AuthenticationException>(result.ServerError);
        Assert.Equal(SvidFault.UntrustedChain, Assert.Single(result.ClientVerdicts).Fault);
    }

    [Fact]
    public async Task A_client_that_is_not_asked_is_not_judged()
    {
        var result = await Handshake(Server(clients: ClientCertificates.NotAsked), Client());
        Assert.Equal((null, null), (result.ServerError, result.ClientError));
        Assert.Empty(result.ClientVerdicts);
    }

    [Fact]
    public async Task A_server_of_another_trust_domain_is_refused()
    {
        var other = TestAuthority.CreateRoot("example.com", time: _time);
        using var web = other.CreateSvid("spiffe://example.com/ns/shop/sa/web");
        var result = await Handshake(Server(web), Client());
        Assert.IsType<AuthenticationException>(result.ClientError);
        Assert.Equal(SvidFault.UnknownTrustDomain, Assert.Single(result.ServerVerdicts).Fault);
    }

    [Fact]
    public async Task A_client_of_another_trust_domain_is_refused_and_with_its_bundle_served()
    {
        var other = TestAuthority.CreateRoot("example.com", time: _time);
        using var client = other.CreateSvid("spiffe://example.com/client");
        var refused = await Handshake(Server(), Client(client));
        Assert.Equal(SvidFault.UnknownTrustDomain, Assert.Single(refused.ClientVerdicts).Fault);
        Assert.IsType<AuthenticationException>(refused.ServerError);

        var both = new TrustBundleSet(_root.Bundle, other.Bundle);
        var served = await Handshake(Server(bundles: both), Client(client));
        Assert.Null(served.ServerError);
        Assert.Equal("spiffe://example.com/client", Assert.Single(served.ClientVerdicts).Id!.ToString());
    }

    [Fact]
    public async Task A_server_with_a_valid_SVID_of_another_name_is_refused()
    {
        using var imposter = _issuer.CreateSvid("spiffe://example.org/ns/shop/sa/db");
        var result = await Handshake(Server(imposter), Client());
        Assert.IsType<AuthenticationException>(result.ClientError);
        var verdict = Assert.Single(result.ServerVerdicts);
        Assert.Equal(SvidFault.UnexpectedId, verdict.Fault);
        Assert.Null(verdict.Id);
        Assert.Equal("spiffe://example.org/ns/shop/sa/db", verdict.ClaimedId!.ToString());
    }

    [Fact]
    public async Task Expiry_is_by_the_clock_that_was_passed_in()
    {
        Assert.Null((await Handshake(Server(), Client())).ServerError);
        _time.Step(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(1));
        var result = await Handshake(Server(), Client());
        Assert.IsType<AuthenticationException>(result.ClientError);
        Assert.Equal(SvidFault.Expired, Assert.Single(result.ServerVerdicts).Fault);
    }

    [Fact]
    public async Task A_certificate_that_the_machine_finds_expired_is_served_when_the_clock_passed_in_says_so()
    {
        _time.Step(TimeSpan.FromDays(-100));
        var root = TestAuthority.CreateRoot(time: _time);
        using var web = root.CreateSvid(WebId);
        using var client = root.CreateSvid(ClientId);
        var result = await Handshake(Server(web, root.Bundles), Client(client, root.Bundles));
        Assert.Equal((null, null), (result.ServerError, result.ClientError));
    }

    [Fact]
    public async Task The_bundle_is_the_one_at_the_time_of_the_handshake()
    {
        var source = new Swappable(_root.Bundles);
        var options = Client(bundles: source);
        source.Current = TrustBundleSet.Empty;
        var result = await Handshake(Server(), options);
        Assert.Equal(SvidFault.UnknownTrustDomain, Assert.Single(result.ServerVerdicts).Fault);
    }

    [Fact]
    public async Task TLS_1_2_is_refused_at_either_end()
    {
        var client = Client();
        client.EnabledSslProtocols = SslProtocols.Tls12;
        Assert.NotNull((await Handshake(Server(), client)).ServerError);
        var server = Server();
        server.EnabledSslProtocols = SslProtocols.Tls12;
        Assert.NotNull((await Handshake(server, Client())).ClientError);
    }

    [Fact]
    public void Nothing_is_resumed_downloaded_or_looked_up()
    {
        var client = Client();
        Assert.False(client.AllowTlsResume);
        Assert.False(client.AllowRenegotiation);
        AssertOffline(client.CertificateChainPolicy, client.CertificateRevocationCheckMode);
        var server = Server();
        Assert.False(server.AllowTlsResume);
        Assert.False(server.AllowRenegotiation);
        AssertOffline(server.CertificateChainPolicy, server.CertificateRevocationCheckMode);

        static void AssertOffline(X509ChainPolicy? policy, X509RevocationMode mode)
        {
            Assert.Equal(X509RevocationMode.NoCheck, mode);
            Assert.Equal(X509RevocationMode.NoCheck, policy!.RevocationMode);
            Assert.True(policy.DisableCertificateDownloads);
            Assert.Equal(X509ChainTrustMode.CustomRootTrust, policy.TrustMode);
        }
    }

    [Fact]
    public async Task An_observer_sees_the_chain_of_anyone_and_gets_no_connection()
    {
        var stranger = TestAuthority.CreateRoot("example.net", time: _time).CreateIntermediate();
        using var svid = stranger.CreateSvid("spiffe://example.net/web");
        IReadOnlyList<ReadOnlyMemory<byte>> shown = [];
        var result = await Handshake(Server(svid, clients: ClientCertificates.Optional), SvidTls.Observe("any", chain => shown = chain));
        Assert.Equal(svid.Chain, shown.Select(Certificate.Parse));
        Assert.IsType<AuthenticationException>(result.ClientError);
        Assert.NotNull(result.ServerError);
    }

    [Fact]
    public async Task A_second_connection_shows_the_certificates_again()
    {
        for (var i = 0; i < 2; i++)
        {
            var result = await Handshake(Server(), Client());
            Assert.Single(result.ServerVerdicts);
            Assert.Single(result.ClientVerdicts);
        }
    }

    public void Dispose()
    {
        _web.Dispose();
        _client.Dispose();
    }

    private readonly List<SvidVerdict> _aboutServer = [];
    private readonly List<SvidVerdict> _aboutClient = [];

    private SslServerAuthenticationOptions Server(X509Svid? svid = null, ITrustBundleSource? bundles = null, ClientCertificates clients = ClientCertificates.Required) =>
        SvidTls.Server(svid ?? _web, bundles ?? _root.Bundles, clients, _time, _aboutClient.Add);

    private SslClientAuthenticationOptions Client(X509Svid? svid = null, ITrustBundleSource? bundles = null, bool withSvid = true) =>
        SvidTls.Client(() => withSvid ? svid ?? _client : null, bundles ?? _root.Bundles, WebId, "web.shop.serviceaccount.identity.mesh.example.org", _time, _aboutServer.Add);

    /// <summary>Shakes hands and sends one word from the client to the server. A refusal in TLS 1.3 reaches the client only when it reads.</summary>
    private async Task<Outcome> Handshake(SslServerAuthenticationOptions serverOptions, SslClientAuthenticationOptions clientOptions)
    {
        _aboutServer.Clear();
        _aboutClient.Clear();
        using var cancellation = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var clientSocket = new TcpClient();
        await clientSocket.ConnectAsync((IPEndPoint)listener.LocalEndpoint, cancellation.Token);
        using var serverSocket = await listener.AcceptTcpClientAsync(cancellation.Token);
        await using var server = new SslStream(serverSocket.GetStream());
        await using var client = new SslStream(clientSocket.GetStream());

        var received = "";
        var protocol = SslProtocols.None;
        var serverSide = Side(async () =>
        {
            await server.AuthenticateAsServerAsync(serverOptions, cancellation.Token);
            protocol = server.SslProtocol;
            var buffer = new byte[4];
            await server.ReadExactlyAsync(buffer, cancellation.Token);
            received = System.Text.Encoding.ASCII.GetString(buffer);
        }, serverSocket);
        var clientSide = Side(async () =>
        {
            await client.AuthenticateAsClientAsync(clientOptions, cancellation.Token);
            await client.WriteAsync("ping"u8.ToArray(), cancellation.Token);
        }, clientSocket);
        var serverError = await serverSide;
        var clientError = await clientSide;
        return new Outcome(serverError, clientError, protocol, received, [.. _aboutServer], [.. _aboutClient]);

        static async Task<Exception?> Side(Func<Task> act, TcpClient socket)
        {
            try
            {
                await act();
                return null;
            }
            catch (Exception e) when (e is AuthenticationException or IOException)
            {
                socket.Close();
                return e;
            }
        }
    }

    private sealed record Outcome(
        Exception? ServerError,
        Exception? ClientError,
        SslProtocols Protocol,
        string Received,
        IReadOnlyList<SvidVerdict> ServerVerdicts,
        IReadOnlyList<SvidVerdict> ClientVerdicts);

    private sealed class Swappable(ITrustBundleSource first) : ITrustBundleSource
    {
        public ITrustBundleSource Current { get; set; } = first;

        public TrustBundle? Find(TrustDomain trustDomain) => Current.Find(trustDomain);
    }
}
