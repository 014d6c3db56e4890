using System.Net;
using Grpc.Core;
using Mesh.Destination.Services;
using Mesh.Grpc;
using Mesh.Protocol.Destination;
using Mesh.Spiffe;

namespace Mesh.Destination.Discovery;

/// <summary>
/// <c>io.linkerd.proxy.destination.Destination</c>. Only a caller with an SVID of our trust domain gets in. Codes are Linkerd's:
/// a path that is no authority, or an address where a name is asked for, is InvalidArgument; an unknown service is NotFound.
/// As long as no file of services could be read nothing is known of any name or address, and every call is Unavailable: "not found" and
/// "not in the mesh" would be claims, and the second makes a proxy speak plaintext.
/// </summary>
internal sealed partial class DestinationEndpoint(ServiceRegister register, TrustDomain trustDomain, DestinationMetrics metrics, TimeProvider time, ILogger<DestinationEndpoint> log, CancellationToken stopping)
    : Protocol.Destination.Destination.DestinationBase
{
    /// <summary>The longest path that is looked at, in characters.</summary>
    public const int MaxPathLength = 300;

    // A proxy that does not read for this long is not there any more.
    private static readonly TimeSpan WriteTimeout = TimeSpan.FromSeconds(20);

    // Linkerd's default (20 % more requests, 10 a second at least, counted over 10 s).
    private static readonly RetryBudget DefaultRetryBudget = new() { RetryRatio = 0.2f, MinRetriesPerSecond = 10, Ttl = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(TimeSpan.FromSeconds(10)) };

    public override Task Get(GetDestination request, IServerStreamWriter<Update> responseStream, ServerCallContext context)
    {
        Admit(context);
        var authority = Read(request);
        if (authority.Address is not null) throw Refusal(StatusCode.InvalidArgument, "Get takes a service's name, not an address.");
        if (register.Current.Table is null) throw NothingKnown();
        if (register.Follow(authority) is not { } feed)
        {
            metrics.CallRefused();
            Log.Unknown(log, authority.ToString(), context.Peer);
            throw Refusal(StatusCode.NotFound, "There is no such service.");
        }

        return StreamAsync(FollowAsync, () => register.Leave(authority, feed), context.CancellationToken);

        async Task FollowAsync(CancellationToken ct)
        {
            var sent = feed.Current;
            foreach (var message in sent.Whole) await WriteAsync(end => responseStream.WriteAsync(message, end));
            while (true)
            {
                await sent.Superseded.WaitAsync(ct);
                var now = feed.Current;
                foreach (var message in ServiceFeed.Catch(sent, now)) await WriteAsync(end => responseStream.WriteAsync(message, end));
                sent = now;
            }
        }
    }

    public override Task GetProfile(GetDestination request, IServerStreamWriter<DestinationProfile> responseStream, ServerCallContext context)
    {
        Admit(context);
        var authority = Read(request);
        if (register.Current.Table is null) throw NothingKnown();
        return StreamAsync(FollowAsync, () => { }, context.CancellationToken);

        async Task FollowAsync(CancellationToken ct)
        {
            DestinationProfile? sent = null;
            while (true)
            {
                var (table, changed) = register.Current;
                var profile = Profile(authority, table!);
                if (!profile.Equals(sent)) await WriteAsync(end => responseStream.WriteAsync(profile, end));
                sent = profile;
                await changed.WaitAsync(ct);
            }
        }
    }

    private async Task StreamAsync(Func<CancellationToken, Task> follow, Action leave, CancellationToken gone)
    {
        metrics.StreamOpened();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(gone, stopping);
        try
        {
            await follow(end.Token);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw Refusal(StatusCode.Unavailable, "The service is stopping; connect again.");
        }
        finally
        {
            metrics.StreamClosed();
            leave();
        }
    }

    // Nothing else cancels a write: Kestrel resets the stream then, and whoever is slow when the service stops would not be told why. A client
    // that is gone ends a write by itself.
    private async Task WriteAsync(Func<CancellationToken, Task> write)
    {
        using var deadline = new CancellationTokenSource(WriteTimeout, time);
        try
        {
            await write(deadline.Token);
            metrics.UpdateWritten();
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw Refusal(StatusCode.DeadlineExceeded, "The stream is not being read.");
        }
    }

    private static DestinationProfile Profile(Authority authority, ServiceTable table)
    {
        var profile = new DestinationProfile { RetryBudget = DefaultRetryBudget };
        if (authority.Address is { } ip)
        {
            if (table.FindEndpoint(new IPEndPoint(ip, authority.Port)) is not { } endpoint) return profile;
            profile.Endpoint = EndpointMessages.Weighted(endpoint);
            profile.OpaqueProtocol = endpoint.Opaque;
            return profile;
        }

        profile.FullyQualifiedName = authority.Host;
        profile.OpaqueProtocol = table.Find(authority)?.Opaque ?? false;
        return profile;
    }

    private void Admit(ServerCallContext context)
    {
        var peer = context.GetHttpContext().Features.Get<Peer>();
        if (peer?.Id.TrustDomain == trustDomain) return;
        metrics.CallRefused();
        throw peer is null
            ? Refusal(StatusCode.Unauthenticated, "Discovery needs a client certificate.")
            : Refusal(StatusCode.PermissionDenied, "The caller is of another trust domain.");
    }

    private Authority Read(GetDestination request)
    {
        if (request.Path.Length <= MaxPathLength && Authority.TryParse(request.Path, out var authority)) return authority;
        metrics.CallRefused();
        throw Refusal(StatusCode.InvalidArgument, "The path is not name:port or address:port.");
    }

    private RpcException NothingKnown()
    {
        metrics.CallRefused();
        return Refusal(StatusCode.Unavailable, "No services have been read yet; try again.");
    }

    private static RpcException Refusal(StatusCode code, string sentence) => new(new Status(code, sentence));

    private static partial class Log
    {
        [LoggerMessage(4201, LogLevel.Information, "{Authority} was asked for by {Peer} and is not known", EventName = "UnknownService")]
        public static partial void Unknown(ILogger log, string authority, string peer);
    }
}
