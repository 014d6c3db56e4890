using System.Collections.Frozen;
using System.Diagnostics;
using System.Net;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Requests;
using Mesh.Proxy.Tests.Connections;
using Mesh.Proxy.Tests.Native;
using Mesh.Proxy.Upstreams;
using Mesh.Spiffe;
using HttpVersion = Mesh.Proxy.Http.HttpVersion;

namespace Mesh.Proxy.Tests.Upstreams;

/// <summary>Requests that wait for a connection, when there comes none.</summary>
public sealed class WaitingRequestsTests
{
    private static readonly MessageHead Get = new(RequestMethod.Get, 0, null) { Version = HttpVersion.Http2 };

    [Fact]
    public async Task However_many_wait_their_failure_takes_no_deeper_stack()
    {
        using var loop = new LoopThread();
        await using var log = new LineLog(TextWriter.Null, LogLevel.Info, LogFormat.Text, TimeProvider.System);
        var metrics = new ProxyMetrics(InboundPolicy.AllUnauthenticated);
        var routes = new Routes();
        await loop.On(async () =>
        {
            var set = Set(loop.Loop, metrics, log);
            var pool = new ExchangePool(loop.Loop, LoopThread.Limit);
            var first = new TaskCompletionSource<Dialled>();
            var dials = 0;
            var upstream = new Http2Upstream(
                set,
                _ => ++dials == 1 ? new ValueTask<Dialled>(first.Task) : ValueTask.FromResult(new Dialled(null, ConnectionEnd.NoCertificate, "")),
                Counters(metrics),
                new Http2Options { Role = Http2Role.Client });
            routes.Next = _ => upstream;
            for (var i = 0; i < 1_000; i++) Request(pool, routes, upstream);
            Assert.Equal((1_000, 1), (pool.Active, dials));
            first.SetResult(new Dialled(null, ConnectionEnd.ConnectFailed, ""));
            while (pool.Active > 0) await Task.Yield();
        });
        Assert.Equal(1_000, routes.Ended.Count);
        Assert.All(routes.Ended, reason => Assert.Equal("no_certificate", reason));
        Assert.InRange(routes.Deepest, 1, 200);
    }

    private static UpstreamSet Set(EventLoop loop, ProxyMetrics metrics, LineLog log) =>
        new(loop, Direction.Outbound, new ConnectionTable(loop, metrics, log, accessLog: false, TimeProvider.System), TimeProvider.System, (_, _) => { }, fault => Assert.Fail(fault.ToString()));

    private static TcpCounters Counters(ProxyMetrics metrics) =>
        metrics.Tcp(new TcpLabels(Direction.Outbound, TcpSide.Destination, "web.demo:80", new PeerIdentity.Absent(AbsentReason.NotProvidedByDiscovery)));

    private static void Request(ExchangePool pool, Routes routes, Upstream upstream)
    {
        var client = new Client();
        pool.Begin(client, routes);
        routes.First = upstream;
        client.Handler.OnHead(client, new HeaderBlock(), Get, end: true);
    }

    private sealed class Routes : IExchangeRoutes
    {
        public Upstream First { get; set; } = null!;

        public Func<Exchange, Upstream?> Next { get; set; } = _ => null;

        public List<string?> Ended { get; } = [];

        public int Deepest { get; private set; }

        public void OnRequest(Exchange exchange, HeaderBlock fields, in MessageHead head) => exchange.Forward(First, fields, head);

        public Upstream? Another(Exchange exchange) => Next(exchange);

        public long? RetryAfter(Exchange exchange, HeaderBlock? fields, in MessageHead head) => null;

        public void OnAttemptEnd(Exchange exchange, AttemptOutcome outcome) { }

        public void OnResponse(Exchange exchange, HeaderBlock fields, ref MessageHead head) { }

        public void OnEnd(Exchange exchange)
        {
            Deepest = Math.Max(Deepest, new StackTrace().FrameCount);
            Ended.Add(exchange.Refusal?.Reason);
        }
    }

    /// <summary>Takes any answer, and is done with the end of it.</summary>
    private sealed class Client : HttpStream
    {
        public override HttpVersion Version => HttpVersion.Http2;

        public override void SendHead(HeaderBlock fields, in MessageHead head, bool end)
        {
            if (end) Handler.OnClosed(this, StreamFault.None);
        }

        public override void SendData(ReadOnlySpan<byte> data, bool end)
        {
            if (end) Handler.OnClosed(this, StreamFault.None);
        }

        public override void SendTrailers(HeaderBlock fields) => Handler.OnClosed(this, StreamFault.None);

        public override void Reset(Http2ErrorCode code) { }

        public override void Consumed(int bytes) { }
    }
}
