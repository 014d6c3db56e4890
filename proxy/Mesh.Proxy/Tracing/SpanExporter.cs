using System.Threading.Channels;
using Google.Protobuf;
using Mesh.Protocol.Otlp;
using Mesh.Proxy.Control;
using Mesh.Proxy.Metrics;

namespace Mesh.Proxy.Tracing;

/// <summary>
/// Sends spans to a collector by OTLP over gRPC, away from the data path. They wait in a bounded queue: a collector that is away, or slow, costs
/// spans, which are counted, and never memory or requests.
/// </summary>
internal sealed class SpanExporter : IDisposable
{
    private const int QueueLength = 4096;
    private const int LargestBatch = 512;
    private const string Path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ExportTimeout = TimeSpan.FromSeconds(10);

    private readonly Channel<TraceSpan> _queue = Channel.CreateBounded<TraceSpan>(
        new BoundedChannelOptions(QueueLength) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private readonly ControlChannel _collector;
    private readonly Resource _resource;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff;
    private long _exported;
    private long _dropped;
    private long _failures;

    /// <param name="collector">Owned from here on.</param>
    /// <param name="serviceName">What the collector shows as <c>service.name</c>.</param>
    /// <param name="id">Who this proxy is.</param>
    public SpanExporter(ControlChannel collector, string serviceName, string id, string version, TimeProvider time, Random random)
    {
        (_collector, _time) = (collector, time);
        _backoff = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), random);
        _resource = new Resource();
        foreach (var (key, value) in ((string, string)[])[("service.name", serviceName), ("service.version", version), ("mesh.identity", id)])
            _resource.Attributes.Add(OtlpMessages.Attribute(SpanAttribute.Of(key, value)));
    }

    /// <summary>Takes a span, or drops it when too many wait. Any thread; never waits.</summary>
    public void Export(TraceSpan span)
    {
        if (!_queue.Writer.TryWrite(span)) Interlocked.Increment(ref _dropped);
    }

    /// <summary>Sends what comes, until stopped; then what is left, if the collector takes it within a second.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        var batch = new List<TraceSpan>(LargestBatch);
        // A call under way when we are stopped goes on: ended in the middle, nobody knows whether its spans were taken.
        using var over = new CancellationTokenSource(Timeout.InfiniteTimeSpan, _time);
        using var ending = ct.Register(() => over.CancelAfter(Linger));
        try
        {
            while (await _queue.Reader.WaitToReadAsync(ct))
            {
                // Spans come in crowds: a short wait makes one call of many.
                await Task.Delay(Linger, _time, ct);
                while (_queue.Reader.TryPeek(out _)) await SendAsync(batch, over.Token, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            if (batch.Count > 0 || _queue.Reader.TryPeek(out _)) await SendLastAsync(batch, over.Token);
        }
    }

    public void WriteTo(PrometheusText page)
    {
        page.Counter("mesh_proxy_trace_spans_exported_total", "Spans that the collector took.");
        page.Sample(Volatile.Read(ref _exported));
        page.Counter("mesh_proxy_trace_spans_dropped_total", "Spans lost: the collector did not take them, or they came faster than it does.");
        page.Sample(Volatile.Read(ref _dropped));
        page.Counter("mesh_proxy_trace_export_failures_total", "Calls to the collector that failed.");
        page.Sample(Volatile.Read(ref _failures));
    }

    public void Dispose() => _collector.Dispose();

    private async Task SendAsync(List<TraceSpan> batch, CancellationToken over, CancellationToken ct)
    {
        Fill(batch);
        if (await TrySendAsync(batch, over))
        {
            batch.Clear();
            _backoff.Reset();
            return;
        }

        // The batch stays for the next try; what comes meanwhile waits in the queue, and is dropped there when it is full.
        await Task.Delay(_backoff.Next(), _time, ct);
        if (await TrySendAsync(batch, over)) _backoff.Reset();
        else Interlocked.Add(ref _dropped, batch.Count);
        batch.Clear();
    }

    private async Task SendLastAsync(List<TraceSpan> batch, CancellationToken over)
    {
        Fill(batch);
        try
        {
            if (!await TrySendAsync(batch, over)) Interlocked.Add(ref _dropped, batch.Count);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            Interlocked.Add(ref _dropped, batch.Count);
        }
    }

    private void Fill(List<TraceSpan> batch)
    {
        while (batch.Count < LargestBatch && _queue.Reader.TryRead(out var span)) batch.Add(span);
    }

    private async Task<bool> TrySendAsync(List<TraceSpan> batch, CancellationToken ct)
    {
        try
        {
            var answer = await _collector.CallAsync(Path, OtlpMessages.Request(_resource, batch), ExportTraceServiceResponse.Parser, ExportTimeout, ct);
            var rejected = Math.Clamp(answer.PartialSuccess?.RejectedSpans ?? 0, 0, batch.Count);
            Interlocked.Add(ref _exported, batch.Count - rejected);
            Interlocked.Add(ref _dropped, rejected);
            return true;
        }
        catch (GrpcCallException)
        {
            Interlocked.Increment(ref _failures);
            return false;
        }
    }
}
