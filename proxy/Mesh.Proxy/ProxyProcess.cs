using System.Collections.Immutable;
using System.Net.Sockets;
using System.Reflection;
using System.Security.Cryptography;
using Mesh.Proxy.Admin;
using Mesh.Proxy.Control;
using Mesh.Proxy.Identity;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Requests;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tracing;

namespace Mesh.Proxy;

/// <summary>
/// The life of the process: bind every listener, get an identity, serve, and at the end drain. If a part that must not end does, everything is
/// stopped and the exit code says so: an orchestrator restarts a process, it cannot restart half of one.
/// </summary>
internal sealed partial class ProxyProcess(ProxySettings settings, TimeProvider time, LineLog log)
{
    private readonly TaskCompletionSource _loopEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _certified = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly LineLimit _acceptTrouble = new(burst: 1, TimeSpan.FromSeconds(10), time);
    private volatile bool _draining;

    public static string Version => typeof(ProxyProcess).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    public void Announce(ImmutableArray<string> unknownKeys)
    {
        Log.Starting(log, Version, settings);
        foreach (var key in unknownKeys) Log.UnknownKey(log, key);
    }

    /// <summary>Returns the exit code.</summary>
    public async Task<int> RunAsync(StopRequest stop)
    {
        using var control = new ControlPlane(settings.Identity, settings.Destination, Version, time, log);
        using var loop = new EventLoop(time, new EventLoopOptions
        {
            Unhandled = fault => Log.UnhandledOnLoop(log, fault),
            AcceptTrouble = TellAcceptTrouble,
        });
        using var spans = Exporter(control);
        AdminServer? admin = null;
        DataPlane? plane = null;
        try
        {
            var tap = new RequestTap(time);
            var pages = new AdminPages(() => Readiness(control), ct => MetricsAsync(control, plane!, spans, ct), stop.Ask, tap);
            admin = AdminServer.Bind(settings.AdminListen, pages, time, log);
            var lookup = control.Directory is { } directory ? new DestinationLookup(directory.ResolveAsync, directory.Known, directory.ProfileAsync, directory.Hold) : DestinationLookup.None;
            if (control.Policies is { } policies) lookup = lookup with { Policy = policies.ResolveAsync };
            plane = new DataPlane(loop, settings, lookup, admin.Address, time, log, Tracer(spans), tap);
            if (control.Policies is not null) control.Policies.PolicyChanged += plane.UsePolicy;
            Log.AdminListening(log, admin.Address);
            return await RunAsync(loop, control, spans, admin, plane, stop);
        }
        catch (Exception fault) when (fault is IOException or SocketException)
        {
            Log.CannotBind(log, fault is SocketException socket ? $"{ProxyEnvironment.Prefix}ADMIN_LISTEN_ADDR: cannot listen on {settings.AdminListen}: {(socket.SocketErrorCode == SocketError.AddressAlreadyInUse ? "the address is in use" : socket.Message)}." : fault.Message);
            return ExitCodes.Unavailable;
        }
        finally
        {
            admin?.Dispose();
            plane?.Dispose();
        }
    }

    private async Task<int> RunAsync(EventLoop loop, ControlPlane control, SpanExporter? spans, AdminServer admin, DataPlane plane, StopRequest stop)
    {
        using var end = new CancellationTokenSource();
        var thread = new Thread(() => RunLoop(loop, end.Token)) { Name = "loop", IsBackground = true };
        thread.Start();
        control.Identity.Follow(identity => PutInForceAsync(plane, identity));
        var controlling = control.RunAsync(end.Token);
        var administering = admin.RunAsync(end.Token);
        var trimming = NativeHeap.KeepTrimmedAsync(time, end.Token);
        var exporting = spans?.RunAsync(end.Token) ?? Task.Delay(Timeout.InfiniteTimeSpan, time, end.Token);
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = stop.Orderly.Register(() => stopped.TrySetResult());

        var first = await Task.WhenAny(_certified.Task, stopped.Task, _loopEnded.Task, controlling, administering, exporting);
        var serving = first == _certified.Task ? plane.ServeAsync() : Task.CompletedTask;
        if (first == _certified.Task)
        {
            Log.Serving(log, settings.Identity.Id.ToString());
            first = await Task.WhenAny(stopped.Task, serving, _loopEnded.Task, controlling, administering, exporting);
        }

        var orderly = first == stopped.Task;
        if (orderly) await DrainAsync(plane, stop);
        else Log.EndedUnasked(log, Name(first, serving, controlling, administering, exporting), first.Exception?.InnerException);
        await end.CancelAsync();
        thread.Join();
        await trimming;
        foreach (var (part, task) in ((string, Task)[])[("the control plane client", controlling), ("the admin endpoint", administering), ("the exporter of spans", exporting)])
        {
            await Task.WhenAny(task);
            if (task.Exception is { } fault && task != first) Log.EndedUnasked(log, part, fault.InnerException);
        }

        return orderly ? ExitCodes.Ok : ExitCodes.Internal;
    }

    private async Task DrainAsync(DataPlane plane, StopRequest stop)
    {
        _draining = true;
        Log.Draining(log, settings.ShutdownGracePeriod);
        await plane.StopAcceptingAsync();
        using var hurry = stop.Hurry.Register(() => _ = plane.DrainAsync(TimeSpan.Zero));
        var cut = await plane.DrainAsync(settings.ShutdownGracePeriod);
        Log.Drained(log, cut);
    }

    private async Task PutInForceAsync(DataPlane plane, ProxyIdentity identity)
    {
        try
        {
            await plane.UseIdentityAsync(identity.Svid, identity.Bundles);
            _certified.TrySetResult();
        }
        catch (CryptographicException fault)
        {
            // The one before stays in force; whoever asks whether this generation is, sees the failure.
            Log.NotInForce(log, identity.Generation, fault.Message);
            throw;
        }
    }

    // On the loop; the trouble comes many times a second while it lasts.
    private void TellAcceptTrouble(int errno)
    {
        if (_acceptTrouble.Admit(out _)) Log.AcceptTrouble(log, errno);
    }

    private Readiness Readiness(ControlPlane control) =>
        _draining ? new Readiness(false, "draining") : new Readiness(control.IsReady, control.IsReady ? "ready" : control.Sentence);

    private async ValueTask<string> MetricsAsync(ControlPlane control, DataPlane plane, SpanExporter? spans, CancellationToken ct)
    {
        var page = new PrometheusText();
        await plane.WriteMetricsAsync(page, ct);
        control.WriteTo(page);
        spans?.WriteTo(page);
        page.Gauge("proxy_build_info", "The build that runs.");
        page.Sample(1, ("version", Version));
        page.Gauge("mesh_proxy_identity_info", "Who this proxy is.");
        page.Sample(1, ("id", settings.Identity.Id.ToString()));
        ProcessMetrics.WriteTo(page);
        return page.ToString();
    }

    private SpanExporter? Exporter(ControlPlane control) => settings.Tracing is { } tracing
        ? new SpanExporter(control.ChannelTo(tracing.Collector, tracing.CollectorId), tracing.ServiceName, settings.Identity.Id.ToString(), Version, time, Random.Shared)
        : null;

    private Tracer? Tracer(SpanExporter? spans) =>
        spans is not null && settings.Tracing is { } tracing ? new Tracer(tracing.Probability, spans.Export, Random.Shared, time) : null;

    private void RunLoop(EventLoop loop, CancellationToken end)
    {
        try
        {
            loop.Run(end);
            _loopEnded.TrySetResult();
        }
        catch (Exception fault)
        {
            // Without its loop the process is nothing: it ends with this as the reason.
            _loopEnded.TrySetException(fault);
        }
    }

    private static string Name(Task ended, Task serving, Task controlling, Task administering, Task exporting) =>
        ended == serving ? "the listeners" : ended == controlling ? "the control plane client" : ended == administering ? "the admin endpoint"
        : ended == exporting ? "the exporter of spans" : "the event loop";
}
