using System.Collections.Immutable;
using Mesh.Destination.Services;
using Mesh.Grpc;
using Mesh.Protocol.Destination;
using Mesh.Protocol.Outbound;

namespace Mesh.Destination.Discovery;

/// <summary>
/// The states of one service, one after the other. A change is encoded once, however many streams wait for it: each edition carries what
/// leads to it from the one before. A stream that fell behind skips to the newest and gets the difference from what it has.
/// </summary>
internal sealed class ServiceFeed
{
    private volatile Edition _current;

    public ServiceFeed(Service? service) => _current = new Edition(0, service, []);

    public Edition Current => _current;

    /// <summary>Streams that follow this service; changed under the lock of the register that owns this feed.</summary>
    public int Followers { get; set; }

    /// <summary>Puts a state in force. Called by one thread at a time; the same state again is nothing new.</summary>
    public void Publish(Service? service)
    {
        var before = _current;
        if (Equals(before.Service, service)) return;
        _current = new Edition(before.Number + 1, service, EndpointMessages.Between(before.Service, service));
        before.Supersede();
    }

    /// <summary>What a stream that sent <paramref name="sent"/> has to send to be at <paramref name="now"/>.</summary>
    public static ImmutableArray<SharedMessage<Update>> Catch(Edition sent, Edition now) =>
        now.Number == sent.Number + 1 ? now.FromPrevious : EndpointMessages.Between(sent.Service, now.Service);
}

/// <summary>One state of a service. Immutable but for the signal that it is no longer the newest.</summary>
internal sealed class Edition(long number, Service? service, ImmutableArray<SharedMessage<Update>> fromPrevious)
{
    private readonly TaskCompletionSource _superseded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SharedMessage<OutboundPolicy>? _policy = service is null ? null : new SharedMessage<OutboundPolicy>(service.Policy);
    private SharedMessage<Update>[]? _whole;

    public long Number => number;

    /// <summary>Null when there is no such service.</summary>
    public Service? Service => service;

    public ImmutableArray<SharedMessage<Update>> FromPrevious => fromPrevious;

    /// <summary>The whole state, for a stream that begins. Two streams may both build it the first time; it is the same.</summary>
    public IReadOnlyList<SharedMessage<Update>> Whole => _whole ??= [.. EndpointMessages.Whole(service)];

    /// <summary>What becomes of traffic to the service; null when there is none.</summary>
    public SharedMessage<OutboundPolicy>? Policy => _policy;

    /// <summary>Completes when a newer edition is in force.</summary>
    public Task Superseded => _superseded.Task;

    public void Supersede() => _superseded.TrySetResult();
}
