using System.Net;
using System.Net.Security;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Protocol.Otlp;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Control;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tracing;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Proxy.Tests.Tracing;

/// <summary>Spans on their way to a collector: a real gRPC server on loopback, which reads what came with OTLP's field numbers.</summary>
public sealed class SpanExporterTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly SpiffeId CollectorId = SpiffeId.Parse("spiffe://example.org/ns/observability/sa/collector");

    private readonly TestAuthority _authority = TestAuthority.CreateRoot().CreateIntermediate();
    private readonly System.Threading.Channels.Channel<ExportTraceServiceRequest> _received = System.Threading.Channels.Channel.CreateUnbounded<ExportTraceServiceRequest>();
    private readonly List<WebApplication> _servers = [];
    private Func<ExportTraceServiceResponse> _answer = () => new ExportTraceServiceResponse();

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers) await server.DisposeAsync();
    }

    [Fact]
    public async Task A_collector_gets_spans_with_who_made_them()
    {
        var collector = await StartAsync(tls: false);
        await using var run = new Run(ControlChannel.Plaintext(collector, TimeProvider.System));
        run.Exporter.Export(Span(1, "connect_failed"));
        var request = await NextAsync();
        var resource = Assert.Single(request.ResourceSpans);
        Assert.Equal(
            "service.name=web service.version=1.2 mesh.identity=spiffe://example.org/ns/demo/sa/web",
            string.Join(' ', resource.Resource.Attributes.Select(a => $"{a.Key}={a.Value.StringValue}")));
        var span = Assert.Single(Assert.Single(resource.ScopeSpans).Spans);
        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", Convert.ToHexStringLower(span.TraceId.Span));
        Assert.Equal(("00f067aa0ba902b7", "00000000000000ff"), (Convert.ToHexStringLower(span.SpanId.Span), Convert.ToHexStringLower(span.ParentSpanId.Span)));
        Assert.Equal(("GET", SpanKind.Client, 1_767_225_600_000_000_000ul, 1_767_225_600_000_000_100ul), (span.Name, span.Kind, span.StartTimeUnixNano, span.EndTimeUnixNano));
        Assert.Equal((Protocol.Otlp.StatusCode.Error, "connect_failed"), (span.Status.Code, span.Status.Message));
        Assert.Equal(["http.response.status_code"], span.Attributes.Select(a => a.Key));
        Assert.Equal(200, span.Attributes[0].Value.IntValue);
        await run.EventuallyAsync("mesh_proxy_trace_spans_exported_total 1");
    }

    [Fact]
    public async Task A_collector_with_an_identity_gets_them_over_mutual_tls_and_another_gets_none()
    {
        var collector = await StartAsync(tls: true);
        var own = _authority.CreateSvid(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web"));
        await using (var run = new Run(new ControlChannel(collector, CollectorId, "collector", () => own, _authority.Bundles, TimeProvider.System)))
        {
            run.Exporter.Export(Span(1));
            Assert.Single(Assert.Single((await NextAsync()).ResourceSpans).ScopeSpans);
        }

        var other = SpiffeId.Parse("spiffe://example.org/ns/observability/sa/other");
        await using (var run = new Run(new ControlChannel(collector, other, "collector", () => own, _authority.Bundles, TimeProvider.System)))
        {
            run.Exporter.Export(Span(1));
            await run.EventuallyAsync("mesh_proxy_trace_export_failures_total 1");
        }

        Assert.False(_received.Reader.TryRead(out _));
    }

    [Fact]
    public async Task Spans_that_a_collector_does_not_take_are_counted()
    {
        _answer = () => new ExportTraceServiceResponse { PartialSuccess = new PartialSuccess { RejectedSpans = 2 } };
        var collector = await StartAsync(tls: false);
        await using var run = new Run(ControlChannel.Plaintext(collector, TimeProvider.System));
        for (var i = 0; i < 5; i++) run.Exporter.Export(Span(1));
        await run.EventuallyAsync("mesh_proxy_trace_spans_exported_total 3", "mesh_proxy_trace_spans_dropped_total 2");
    }

    [Fact]
    public async Task While_the_collector_is_away_spans_are_dropped_and_counted_and_nobody_waits()
    {
        using var exporter = new SpanExporter(ControlChannel.Plaintext(HostPort.Parse("127.0.0.1:1"), TimeProvider.System), "web", "id", "1", TimeProvider.System, new Random(1));
        for (var i = 0; i < 5000; i++) exporter.Export(Span(1));
        Assert.Contains("mesh_proxy_trace_spans_dropped_total 904\n", Page(exporter), StringComparison.Ordinal);
        using var stop = new CancellationTokenSource();
        var running = exporter.RunAsync(stop.Token);
        while (!Page(exporter).Contains("mesh_proxy_trace_export_failures_total 1", StringComparison.Ordinal)) await Task.Yield();
        await stop.CancelAsync();
        await running.WaitAsync(Patience);
        Assert.Contains("mesh_proxy_trace_spans_exported_total 0\n", Page(exporter), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_waits_when_the_proxy_ends_is_still_sent()
    {
        var collector = await StartAsync(tls: false);
        using var exporter = new SpanExporter(ControlChannel.Plaintext(collector, TimeProvider.System), "web", "id", "1", new ManualTime(), new Random(1));
        exporter.Export(Span(1));
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();
        await exporter.RunAsync(stop.Token).WaitAsync(Patience);
        Assert.Single((await NextAsync()).ResourceSpans);
    }

    private static TraceSpan Span(long ticks, string? error = null) => new(
        new SpanIds(UInt128.Parse("4bf92f3577b34da6a3ce929d0e0e4736", System.Globalization.NumberStyles.HexNumber), 0x00f067aa0ba902b7, 0xff, Begin),
        Direction.Outbound, "GET", Begin + ticks, [SpanAttribute.Of("http.response.status_code", 200)], error);

    private static long Begin => new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc).Ticks;

    private static string Page(SpanExporter exporter)
    {
        var page = new PrometheusText();
        exporter.WriteTo(page);
        return page.ToString();
    }

    private async Task<ExportTraceServiceRequest> NextAsync() => await _received.Reader.ReadAsync().AsTask().WaitAsync(Patience);

    private async Task<HostPort> StartAsync(bool tls)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        var svid = _authority.CreateSvid(CollectorId);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            if (!tls) return;
            listen.UseHttps(new TlsHandshakeCallbackOptions
            {
                OnConnection = _ =>
                {
                    var options = SvidTls.Server(svid, new TrustBundleSet(_authority.Bundle), ClientCertificates.Required, TimeProvider.System, _ => { });
                    options.ApplicationProtocols = [SslApplicationProtocol.Http2];
                    return ValueTask.FromResult(options);
                },
            });
        }));
        var server = builder.Build();
        var method = new Method<ExportTraceServiceRequest, ExportTraceServiceResponse>(
            MethodType.Unary, "opentelemetry.proto.collector.trace.v1.TraceService", "Export",
            Marshallers.Create(m => m.ToByteArray(), ExportTraceServiceRequest.Parser.ParseFrom),
            Marshallers.Create(m => m.ToByteArray(), ExportTraceServiceResponse.Parser.ParseFrom));
        server.MapGrpcService(ServerServiceDefinition.CreateBuilder().AddMethod(method, (request, _) =>
        {
            _received.Writer.TryWrite(request);
            return Task.FromResult(_answer());
        }).Build());
        await server.StartAsync();
        _servers.Add(server);
        return HostPort.Parse($"127.0.0.1:{new Uri(server.Urls.Single()).Port}");
    }

    private sealed class Run : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;

        public Run(ControlChannel collector)
        {
            Exporter = new SpanExporter(collector, "web", "spiffe://example.org/ns/demo/sa/web", "1.2", TimeProvider.System, new Random(1));
            _running = Exporter.RunAsync(_stop.Token);
        }

        public SpanExporter Exporter { get; }

        /// <summary>Waits for lines of the page.</summary>
        public async Task EventuallyAsync(params string[] lines)
        {
            using var deadline = new CancellationTokenSource(Patience);
            using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while (!lines.All(l => Page(Exporter).Contains(l + "\n", StringComparison.Ordinal)))
            {
                try
                {
                    await tick.WaitForNextTickAsync(deadline.Token);
                }
                catch (OperationCanceledException)
                {
                    Assert.Fail(Page(Exporter));
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running.WaitAsync(Patience);
            Exporter.Dispose();
            _stop.Dispose();
        }
    }
}
