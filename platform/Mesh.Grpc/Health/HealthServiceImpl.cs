using System.Collections.Immutable;
using Grpc.Core;
using Grpc.Health.V1;

namespace Grpc.HealthCheck;

/// <summary>
/// <c>grpc.health.v1.Health</c>: says of each service what its owner last said. Nothing is serving until someone says so; the name "" stands
/// for the server as a whole.
/// </summary>
public sealed class HealthServiceImpl : Health.V1.Health.HealthBase
{
    // A probe that asks for many names cannot make us remember them; a List answer stays small.
    private const int MostListed = 100;

    private readonly Lock _lock = new();
    private Snapshot _snapshot = new(ImmutableDictionary<string, HealthCheckResponse.Types.ServingStatus>.Empty);
    private bool _isShutDown;

    /// <summary>Says how a service is from now on. After <see cref="Shutdown"/> it changes nothing.</summary>
    public void SetStatus(string service, HealthCheckResponse.Types.ServingStatus status)
    {
        ArgumentNullException.ThrowIfNull(service);
        lock (_lock)
            if (!_isShutDown) Publish(_snapshot.Statuses.SetItem(service, status));
    }

    /// <summary>Forgets a service.</summary>
    public void ClearStatus(string service)
    {
        ArgumentNullException.ThrowIfNull(service);
        lock (_lock)
            if (!_isShutDown) Publish(_snapshot.Statuses.Remove(service));
    }

    /// <summary>Everything is not serving, for good: the first step of an orderly end.</summary>
    public void Shutdown()
    {
        lock (_lock)
        {
            _isShutDown = true;
            Publish(_snapshot.Statuses.ToImmutableDictionary(s => s.Key, _ => HealthCheckResponse.Types.ServingStatus.NotServing));
        }
    }

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context) =>
        Volatile.Read(ref _snapshot).Statuses.TryGetValue(request.Service, out var status)
            ? Task.FromResult(new HealthCheckResponse { Status = status })
            : throw new RpcException(new Core.Status(StatusCode.NotFound, "There is no such service."));

    public override Task<HealthListResponse> List(HealthListRequest request, ServerCallContext context)
    {
        var statuses = Volatile.Read(ref _snapshot).Statuses;
        if (statuses.Count > MostListed) throw new RpcException(new Core.Status(StatusCode.ResourceExhausted, "There are too many services to list."));
        var response = new HealthListResponse();
        foreach (var (service, status) in statuses) response.Statuses.Add(service, new HealthCheckResponse { Status = status });
        return Task.FromResult(response);
    }

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        HealthCheckResponse.Types.ServingStatus? told = null;
        while (true)
        {
            var snapshot = Volatile.Read(ref _snapshot);
            var status = snapshot.Statuses.GetValueOrDefault(request.Service, HealthCheckResponse.Types.ServingStatus.ServiceUnknown);
            if (status != told)
            {
                await responseStream.WriteAsync(new HealthCheckResponse { Status = status }, context.CancellationToken);
                told = status;
            }

            await snapshot.Replaced.WaitAsync(context.CancellationToken);
        }
    }

    private void Publish(ImmutableDictionary<string, HealthCheckResponse.Types.ServingStatus> statuses)
    {
        var old = _snapshot;
        Volatile.Write(ref _snapshot, new Snapshot(statuses));
        old.Replace();
    }

    /// <summary>What is known at one time, and a task that ends when it no longer is.</summary>
    private sealed class Snapshot(ImmutableDictionary<string, HealthCheckResponse.Types.ServingStatus> statuses)
    {
        private readonly TaskCompletionSource _replaced = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ImmutableDictionary<string, HealthCheckResponse.Types.ServingStatus> Statuses => statuses;

        public Task Replaced => _replaced.Task;

        public void Replace() => _replaced.TrySetResult();
    }
}
