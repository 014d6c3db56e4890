using System.Net;
using Grpc.Core;
using Mesh.Destination.Services;
using Mesh.Grpc;
using Mesh.Protocol.Destination;

namespace Mesh.Destination.Discovery;

/// <summary>
/// <c>io.linkerd.proxy.destination.Destination</c>. Only a caller with an SVID of our trust domain gets in. Codes are Linkerd's:
/// a path that is no authority, or an address where a name is asked for, is InvalidArgument; an unknown service is NotFound.
/// As long as no file of services could be read nothing is known of any name or address, and every call is Unavailable: "not found" and
/// "not in the mesh" would be claims, and the second makes a proxy speak plaintext.
/// </summary>
internal sealed partial class DestinationEndpoint(ServiceRegister register, ProxyCalls calls, ILogger<DestinationEndpoint> log)
    : Protocol.Destination.Destination.DestinationBase
{
    // Linkerd's default (20 % more requests, 10 a second at least, counted over 10 s).
    private static readonly RetryBudget DefaultRetryBudget = new() { RetryRatio = 0.2f, MinRetriesPerSecond = 10, Ttl = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(TimeSpan.FromSeconds(10)) };

    public override Task Get(GetDestination request, IServerStreamWriter<Update> responseStream, ServerCallContext context)
    {
        calls.Admit(context);
        var authority = Read(request);
        if (authority.Address is not null) throw ProxyCalls.Status(StatusCode.InvalidArgument, "Get takes a service's name, not an address.");
        if (register.Current.Table is null) throw calls.NothingKnown();
        if (register.Follow(authority) is not { } feed)
        {
            Log.Unknown(log, authority.ToString(), context.Peer);
            throw calls.Refuse(StatusCode.NotFound, "There is no such service.");
        }

        return calls.StreamAsync(FollowAsync, () => register.Leave(authority, feed), context.CancellationToken);

        async Task FollowAsync(CancellationToken ct)
        {
            var sent = feed.Current;
            foreach (var message in sent.Whole) await calls.WriteAsync(end => responseStream.WriteAsync(message, end));
            while (true)
            {
                await sent.Superseded.WaitAsync(ct);
                var now = feed.Current;
                foreach (var message in ServiceFeed.Catch(sent, now)) await calls.WriteAsync(end => responseStream.WriteAsync(message, end));
                sent = now;
            }
        }
    }

    public override Task GetProfile(GetDestination request, IServerStreamWriter<DestinationProfile> responseStream, ServerCallContext context)
    {
        calls.Admit(context);
        var authority = Read(request);
        if (register.Current.Table is null) throw calls.NothingKnown();
        return calls.StreamAsync(FollowAsync, () => { }, context.CancellationToken);

        async Task FollowAsync(CancellationToken ct)
        {
            DestinationProfile? sent = null;
            while (true)
            {
                var (table, changed) = register.Current;
                var profile = Profile(authority, table!);
                if (!profile.Equals(sent)) await calls.WriteAsync(end => responseStream.WriteAsync(profile, end));
                sent = profile;
                await changed.WaitAsync(ct);
            }
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

    private Authority Read(GetDestination request)
    {
        if (request.Path.Length <= ProxyCalls.MaxPathLength && Authority.TryParse(request.Path, out var authority)) return authority;
        throw calls.Refuse(StatusCode.InvalidArgument, "The path is not name:port or address:port.");
    }

    private static partial class Log
    {
        [LoggerMessage(4201, LogLevel.Information, "{Authority} was asked for by {Peer} and is not known", EventName = "UnknownService")]
        public static partial void Unknown(ILogger log, string authority, string peer);
    }
}
