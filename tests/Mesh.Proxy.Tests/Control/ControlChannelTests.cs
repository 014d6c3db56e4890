using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Google.Protobuf;
using Mesh.Protocol.Identity;
using Mesh.Proxy.Control;
using Mesh.Proxy.Settings;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace Mesh.Proxy.Tests.Control;

public sealed class ControlChannelTests : IAsyncDisposable
{
    private const string Rpc = "/io.linkerd.proxy.identity.Identity/Certify";

    private readonly TestAuthority _authority = TestAuthority.CreateRoot().CreateIntermediate();
    private readonly List<IAsyncDisposable> _servers = [];
    private readonly List<IDisposable> _channels = [];
    private X509Svid _serverSvid;
    private HttpProtocols _protocols = HttpProtocols.Http2;

    public ControlChannelTests() => _serverSvid = _authority.CreateSvid(FakeControlPlane.ServiceId);

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable channel in _channels) channel.Dispose();
        foreach (IAsyncDisposable server in _servers) await server.DisposeAsync();
    }

    [Fact]
    public async Task A_call_is_a_grpc_call()
    {
        var seen = new TaskCompletionSource<(string Method, string Path, string Protocol, IHeaderDictionary Headers, byte[] Body)>();
        ControlChannel channel = await StartAsync(async context =>
        {
            var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            seen.SetResult((context.Request.Method, context.Request.Path, context.Request.Protocol, new HeaderDictionary(context.Request.Headers.ToDictionary(StringComparer.OrdinalIgnoreCase)), body.ToArray()));
            await AnswerAsync(context, Frame(new CertifyResponse { LeafCertificate = ByteString.CopyFromUtf8("leaf") }));
        });
        CertifyResponse response = await CallAsync(channel);
        Assert.Equal("leaf", response.LeafCertificate.ToStringUtf8());
        var request = await seen.Task;
        Assert.Equal(("POST", Rpc, "HTTP/2"), (request.Method, request.Path, request.Protocol));
        Assert.Equal(("application/grpc", "trailers"), (request.Headers.ContentType.ToString(), request.Headers.TE.ToString()));
        Assert.Matches("^[0-9]{1,8}[HMSmun]$", request.Headers["grpc-timeout"].ToString());
        Assert.Equal(Frame(new CertifyRequest { Identity = "me" }), request.Body);
    }

    [Theory]
    [InlineData(400, GrpcStatusCode.Internal)]
    [InlineData(401, GrpcStatusCode.Unauthenticated)]
    [InlineData(403, GrpcStatusCode.PermissionDenied)]
    [InlineData(404, GrpcStatusCode.Unimplemented)]
    [InlineData(429, GrpcStatusCode.Unavailable)]
    [InlineData(503, GrpcStatusCode.Unavailable)]
    [InlineData(302, GrpcStatusCode.Unknown)]
    [InlineData(500, GrpcStatusCode.Unknown)]
    public async Task An_http_status_is_a_grpc_status(int status, object code)
    {
        ControlChannel channel = await StartAsync(context =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers.Location = "https://elsewhere.example.org/";
            return Task.CompletedTask;
        });
        Assert.Equal((GrpcStatusCode)code, (await FailsAsync(channel)).Code);
    }

    [Theory]
    [InlineData("7", "no%20entry%3A%20%C3%BC", GrpcStatusCode.PermissionDenied, "no entry: ü")]
    [InlineData("14", "", GrpcStatusCode.Unavailable, "")]
    [InlineData("77", "from the future", GrpcStatusCode.Unknown, "from the future")]
    [InlineData("nonsense", "", GrpcStatusCode.Unknown, "")]
    public async Task A_status_in_the_headers_alone_is_heard(string status, string message, object code, string sentence)
    {
        ControlChannel channel = await StartAsync(context =>
        {
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = status;
            context.Response.Headers["grpc-message"] = message;
            return Task.CompletedTask;
        });
        GrpcCallException failure = await FailsAsync(channel);
        Assert.Equal(((GrpcStatusCode)code, sentence), (failure.Code, failure.Message));
    }

    [Fact]
    public async Task A_sentence_of_any_length_is_cut()
    {
        ControlChannel channel = await StartAsync(context => AnswerAsync(context, [], "2", new string('x', 5_000)));
        Assert.Equal(512, (await FailsAsync(channel)).Message.Length);
    }

    [Fact]
    public async Task An_answer_that_is_not_grpc_is_not_read()
    {
        ControlChannel channel = await StartAsync(context => context.Response.WriteAsync("<html>hello</html>"));
        Assert.Equal(GrpcStatusCode.Unknown, (await FailsAsync(channel)).Code);
    }

    [Fact]
    public async Task An_end_without_a_status_is_not_taken_for_success()
    {
        ControlChannel channel = await StartAsync(context => AnswerAsync(context, Frame(new CertifyResponse()), status: null));
        Assert.Equal(GrpcStatusCode.Unavailable, (await FailsAsync(channel)).Code);
    }

    [Fact]
    public async Task One_response_is_one()
    {
        ControlChannel none = await StartAsync(context => AnswerAsync(context, []));
        Assert.Equal(GrpcStatusCode.Internal, (await FailsAsync(none)).Code);
        byte[] frame = Frame(new CertifyResponse());
        ControlChannel two = await StartAsync(context => AnswerAsync(context, [.. frame, .. frame]));
        Assert.Equal(GrpcStatusCode.Internal, (await FailsAsync(two)).Code);
    }

    [Fact]
    public async Task A_message_that_announces_too_much_is_refused_by_its_header()
    {
        byte[] header = new byte[5];
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(1), ControlChannel.MaxMessage + 1);
        ControlChannel channel = await StartAsync(async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.WriteAsync(header);
            await context.Response.Body.FlushAsync();
            // The rest never comes: it must not be waited for.
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        });
        Assert.Equal(GrpcStatusCode.ResourceExhausted, (await FailsAsync(channel)).Code);
    }

    [Theory]
    [InlineData(new byte[] { 1, 0, 0, 0, 1, 0 })]
    [InlineData(new byte[] { 2, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 1 })]
    [InlineData(new byte[] { 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 2, 0x0a, 0x7f })]
    public async Task Bytes_that_are_no_message_fail_the_call(byte[] body)
    {
        ControlChannel channel = await StartAsync(context => AnswerAsync(context, body));
        Assert.Equal(GrpcStatusCode.Internal, (await FailsAsync(channel)).Code);
    }

    [Fact]
    public async Task Random_bytes_fail_the_call_and_nothing_else()
    {
        var random = new Random(4711);
        ControlChannel channel = await StartAsync(context =>
        {
            byte[] body = new byte[random.Next(0, 200)];
            random.NextBytes(body);
            if (body.Length > 4 && random.Next(2) == 0) body.AsSpan(0, 4).Clear();
            return AnswerAsync(context, body);
        });
        for (int i = 0; i < 200; i++)
        {
            try
            {
                await CallAsync(channel);
            }
            catch (GrpcCallException)
            {
            }
        }
    }

    [Fact]
    public async Task A_server_that_never_answers_is_given_up_at_the_deadline()
    {
        var time = new ManualTime(DateTimeOffset.UtcNow);
        var asked = new TaskCompletionSource();
        ControlChannel channel = await StartAsync(
            context =>
            {
                asked.SetResult();
                return Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            },
            time);
        Task<GrpcCallException> failing = FailsAsync(channel);
        await asked.Task;
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(GrpcStatusCode.DeadlineExceeded, (await failing).Code);
    }

    [Fact]
    public async Task A_caller_that_gives_up_is_not_told_of_a_failure()
    {
        var asked = new TaskCompletionSource();
        var gone = new TaskCompletionSource();
        ControlChannel channel = await StartAsync(async context =>
        {
            using CancellationTokenRegistration registration = context.RequestAborted.Register(() => gone.TrySetResult());
            asked.SetResult();
            await gone.Task;
        });
        using var stop = new CancellationTokenSource();
        Task call = CallAsync(channel, stop.Token);
        await asked.Task;
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await gone.Task.WaitAsync(FakeControlPlane.Patience);
    }

    [Fact]
    public async Task Nobody_there_is_unavailable()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        GrpcCallException failure = await FailsAsync(Channel(port, TimeProvider.System));
        Assert.Equal((GrpcStatusCode.Unavailable, true), (failure.Code, failure.RefusedServer is null));
    }

    [Fact]
    public async Task A_name_that_does_not_resolve_is_unavailable()
    {
        var channel = new ControlChannel(HostPort.Parse("no-such-host.invalid:80"), FakeControlPlane.ServiceId, "x", () => null, _authority.Bundles, TimeProvider.System);
        _channels.Add(channel);
        Assert.Equal(GrpcStatusCode.Unavailable, (await FailsAsync(channel)).Code);
    }

    [Fact]
    public async Task A_server_that_speaks_no_tls_is_unavailable()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task<GrpcCallException> failing = FailsAsync(Channel(((IPEndPoint)listener.LocalEndpoint).Port, TimeProvider.System));
        using TcpClient client = await listener.AcceptTcpClientAsync();
        await client.GetStream().WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray());
        Assert.Equal(GrpcStatusCode.Unavailable, (await failing).Code);
    }

    [Fact]
    public async Task A_server_without_http2_is_unavailable()
    {
        _protocols = HttpProtocols.Http1;
        ControlChannel channel = await StartAsync(_ => Task.CompletedTask);
        Assert.Equal(GrpcStatusCode.Unavailable, (await FailsAsync(channel)).Code);
    }

    [Fact]
    public async Task A_server_with_an_expired_certificate_is_refused_by_the_clock_given()
    {
        ControlChannel channel = await StartAsync(context => AnswerAsync(context, Frame(new CertifyResponse())), new ManualTime(DateTimeOffset.UtcNow.AddHours(2)));
        GrpcCallException failure = await FailsAsync(channel);
        Assert.Equal(SvidFault.Expired, failure.RefusedServer!.Fault);
        Assert.StartsWith("the server was refused: ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_of_another_identity_is_refused()
    {
        _serverSvid = _authority.CreateSvid("spiffe://example.org/ns/web/sa/impostor");
        ControlChannel channel = await StartAsync(_ => throw new InvalidOperationException("must not be reached"));
        Assert.False((await FailsAsync(channel)).RefusedServer!.IsValid);
    }

    private static async Task AnswerAsync(HttpContext context, byte[] body, string? status = "0", string message = "")
    {
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(body);
        if (status is null) return;
        context.Response.AppendTrailer("grpc-status", status);
        if (message.Length > 0) context.Response.AppendTrailer("grpc-message", message);
    }

    private static byte[] Frame(IMessage message) => GrpcRequestStream.Frame(message);

    private static Task<CertifyResponse> CallAsync(ControlChannel channel, CancellationToken ct = default) =>
        channel.CallAsync(Rpc, new CertifyRequest { Identity = "me" }, CertifyResponse.Parser, TimeSpan.FromSeconds(10), ct).WaitAsync(FakeControlPlane.Patience, CancellationToken.None);

    private static Task<GrpcCallException> FailsAsync(ControlChannel channel) => Assert.ThrowsAsync<GrpcCallException>(() => CallAsync(channel));

    private async Task<ControlChannel> StartAsync(RequestDelegate answer, TimeProvider? time = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = _protocols;
            listen.UseHttps(new TlsHandshakeCallbackOptions
            {
                OnConnection = _ =>
                {
                    SslServerAuthenticationOptions options = SvidTls.Server(_serverSvid, _authority.Bundles, ClientCertificates.NotAsked, TimeProvider.System);
                    options.ApplicationProtocols = [_protocols == HttpProtocols.Http2 ? SslApplicationProtocol.Http2 : SslApplicationProtocol.Http11];
                    return ValueTask.FromResult(options);
                },
            });
        }));
        WebApplication server = builder.Build();
        server.Run(answer);
        await server.StartAsync();
        _servers.Add(server);
        return Channel(new Uri(server.Urls.Single()).Port, time ?? TimeProvider.System);
    }

    private ControlChannel Channel(int port, TimeProvider time)
    {
        var channel = new ControlChannel(HostPort.Parse($"127.0.0.1:{port}"), FakeControlPlane.ServiceId, "identity", () => null, _authority.Bundles, time);
        _channels.Add(channel);
        return channel;
    }
}
