using Grpc.HealthCheck;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Mesh.Identity.Health;

/// <summary>Keeps <c>grpc.health.v1</c> in step with readiness. That protocol pushes states, so readiness, which is judged when asked, is asked once a second.</summary>
internal sealed class HealthReport(Readiness readiness, HealthServiceImpl health, TimeProvider time)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    // "" is the server as a whole (the protocol's own convention). Bundles are pushed to whoever has a certificate, also when none can be issued.
    private static readonly string[] Services = ["", "io.linkerd.proxy.identity.Identity"];

    /// <summary>Until cancelled; returns normally then.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(Period, time);
        health.SetStatus("mesh.trust.v1.Trust", ServingStatus.Serving);
        try
        {
            do Report();
            while (await timer.WaitForNextTickAsync(ct));
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }

    private void Report()
    {
        var status = readiness.Judge(time.GetUtcNow()).IsEmpty ? ServingStatus.Serving : ServingStatus.NotServing;
        foreach (var service in Services) health.SetStatus(service, status);
    }
}
