using Grpc.Core;
using Mesh.Grpc;
using Mesh.Spiffe;

namespace Mesh.Destination.Discovery;

/// <summary>What every call of a proxy goes through: who may ask, how long a stream is written to that nobody reads, and the end when the service stops.</summary>
internal sealed class ProxyCalls(TrustDomain trustDomain, DestinationMetrics metrics, TimeProvider time, CancellationToken stopping)
{
    /// <summary>The longest path or authority that is looked at, in characters.</summary>
    public const int MaxPathLength = 300;

    // A proxy that does not read for this long is not there any more.
    private static readonly TimeSpan WriteTimeout = TimeSpan.FromSeconds(20);

    /// <exception cref="RpcException">The caller has no SVID of our trust domain.</exception>
    public void Admit(ServerCallContext context)
    {
        var peer = context.GetHttpContext().Features.Get<Peer>();
        if (peer?.Id.TrustDomain == trustDomain) return;
        throw peer is null
            ? Refuse(StatusCode.Unauthenticated, "Discovery needs a client certificate.")
            : Refuse(StatusCode.PermissionDenied, "The caller is of another trust domain.");
    }

    /// <summary>Counts the refusal that the caller throws.</summary>
    public RpcException Refuse(StatusCode code, string sentence)
    {
        metrics.CallRefused();
        return Status(code, sentence);
    }

    public async Task StreamAsync(Func<CancellationToken, Task> follow, Action leave, CancellationToken gone)
    {
        metrics.StreamOpened();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(gone, stopping);
        try
        {
            await follow(end.Token);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw Status(StatusCode.Unavailable, "The service is stopping; connect again.");
        }
        finally
        {
            metrics.StreamClosed();
            leave();
        }
    }

    // Nothing else cancels a write: Kestrel resets the stream then, and whoever is slow when the service stops would not be told why. A client
    // that is gone ends a write by itself.
    public async Task WriteAsync(Func<CancellationToken, Task> write)
    {
        using var deadline = new CancellationTokenSource(WriteTimeout, time);
        try
        {
            await write(deadline.Token);
            metrics.UpdateWritten();
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw Status(StatusCode.DeadlineExceeded, "The stream is not being read.");
        }
    }

    /// <summary>No file of services has been read: "not found" would be a claim.</summary>
    public RpcException NothingKnown() => Refuse(StatusCode.Unavailable, "No services have been read yet; try again.");

    public static RpcException Status(StatusCode code, string sentence) => new(new Status(code, sentence));
}
