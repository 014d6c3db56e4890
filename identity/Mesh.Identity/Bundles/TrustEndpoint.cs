using Grpc.Core;
using Mesh.Grpc;
using Mesh.Identity.Hosting;
using Mesh.Identity.Metrics;
using Mesh.Protocol.Trust;
using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Bundles;

/// <summary>
/// <c>mesh.trust.v1.Trust/StreamBundles</c>: pushes the bundle in force, at once and whenever it changes, and keeps what the
/// proxy at the other end says it holds. Only a caller with an SVID of our trust domain gets in, and it speaks for itself alone.
/// </summary>
internal sealed partial class TrustEndpoint(BundleFeed feed, BundleStreams streams, IdentityMetrics metrics, TimeProvider time, ILogger<TrustEndpoint> log, CancellationToken stopping)
    : Protocol.Trust.Trust.TrustBase
{
    // A proxy has a status to send per update and per renewal; more than this is a broken or hostile client.
    private const int MaxStatusesPerWindow = 60;
    private static readonly TimeSpan StatusWindow = TimeSpan.FromMinutes(1);

    // A proxy that does not read for this long is not there any more.
    private static readonly TimeSpan WriteTimeout = TimeSpan.FromSeconds(20);

    public override async Task StreamBundles(IAsyncStreamReader<BundleStatus> requestStream, IServerStreamWriter<BundleUpdate> responseStream, ServerCallContext context)
    {
        var peer = Admit(context);
        if (!streams.TryOpen(peer.Id, context.Peer, time.GetUtcNow(), out var stream))
        {
            metrics.StreamRefused();
            throw Refusal(StatusCode.ResourceExhausted, "No room for another bundle stream; try again later or at another replica.");
        }

        metrics.StreamOpened();
        try
        {
            await ServeAsync(stream, peer, requestStream, responseStream, context.CancellationToken);
        }
        finally
        {
            streams.Close(stream);
        }
    }

    private Peer Admit(ServerCallContext context)
    {
        if (context.GetHttpContext().Features.Get<Peer>() is not { } peer)
        {
            metrics.StreamRefused();
            throw Refusal(StatusCode.Unauthenticated, "The bundle stream needs a client certificate.");
        }

        if (peer.Id.TrustDomain == feed.TrustDomain) return peer;
        metrics.StreamRefused();
        throw Refusal(StatusCode.PermissionDenied, "The caller is of another trust domain.");
    }

    private async Task ServeAsync(BundleStream stream, Peer peer, IAsyncStreamReader<BundleStatus> statuses, IServerStreamWriter<BundleUpdate> updates, CancellationToken gone)
    {
        // The proof the stream was let in with ends with its certificate; the client comes back with its renewed one.
        var left = peer.CertificateExpiresAt - time.GetUtcNow();
        using var expired = new CancellationTokenSource(left > MaxTimer ? MaxTimer : left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(gone, stopping, expired.Token);
        var reading = ReadAsync(stream, statuses, end.Token);
        var writing = WriteAsync(updates, end.Token);
        try
        {
            await await Task.WhenAny(reading, writing);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw Refusal(StatusCode.Unavailable, "The service is stopping; connect again.");
        }
        catch (OperationCanceledException) when (expired.IsCancellationRequested)
        {
            throw Refusal(StatusCode.Unauthenticated, "The connection's client certificate has expired; connect again with the current one.");
        }
        finally
        {
            await end.CancelAsync();
            // Neither may touch the call after it has ended. What the slower one dies of is a consequence, not a cause.
            await Task.WhenAll(reading, writing).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task WriteAsync(IServerStreamWriter<BundleUpdate> updates, CancellationToken ct)
    {
        while (true)
        {
            var edition = await feed.CurrentAsync(ct);
            using (var deadline = new CancellationTokenSource(WriteTimeout, time))
            using (var both = CancellationTokenSource.CreateLinkedTokenSource(ct, deadline.Token))
            {
                try
                {
                    await updates.WriteAsync(edition.Message, both.Token);
                }
                catch (OperationCanceledException) when (deadline.IsCancellationRequested && !ct.IsCancellationRequested)
                {
                    throw Refusal(StatusCode.DeadlineExceeded, "The bundle stream is not being read.");
                }
            }

            metrics.BundleWritten();
            await edition.Superseded.WaitAsync(ct);
        }
    }

    private async Task ReadAsync(BundleStream stream, IAsyncStreamReader<BundleStatus> statuses, CancellationToken ct)
    {
        var windowStart = time.GetTimestamp();
        var inWindow = 0;
        while (await statuses.MoveNext(ct))
        {
            if (time.GetElapsedTime(windowStart) > StatusWindow)
            {
                windowStart = time.GetTimestamp();
                inWindow = 0;
            }

            if (++inWindow > MaxStatusesPerWindow) throw Refusal(StatusCode.ResourceExhausted, "Too many status messages.");
            var holding = BundleHolding.Parse(statuses.Current, stream.Peer, out var fault)
                ?? throw Refusal(fault == HoldingFault.ForeignId ? StatusCode.PermissionDenied : StatusCode.InvalidArgument, Sentence(fault));
            var rejected = holding.Rejection.Length > 0 && stream.Holding?.Rejection != holding.Rejection;
            stream.Take(holding, time.GetUtcNow());
            metrics.StatusTaken();
            if (rejected) Log.UpdateRejected(log, stream.Peer, holding.InstanceId, holding.Sequence, holding.Rejection);
        }
    }

    private static string Sentence(HoldingFault fault) => fault switch
    {
        HoldingFault.ForeignId => "The status names another SPIFFE ID than the client certificate.",
        HoldingFault.BadInstanceId => "The status has no usable instance id.",
        HoldingFault.TooLong => "The status has a field that is too long or not printable.",
        HoldingFault.BadExpiry => "The status has an expiry that is no point in time.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };

    // Timers take up to about 49 days.
    private static readonly TimeSpan MaxTimer = TimeSpan.FromDays(40);

    private static RpcException Refusal(StatusCode code, string sentence) => new(new Status(code, sentence));
}
