using System.Runtime.InteropServices;

namespace Mesh.Proxy;

/// <summary>Being asked to stop: once for an orderly end, a second time for an end without waiting for connections.</summary>
internal sealed class StopRequest : IDisposable
{
    private readonly CancellationTokenSource _orderly = new();
    private readonly CancellationTokenSource _hurry = new();
    private volatile bool _over;

    /// <summary>Fires at the first request.</summary>
    public CancellationToken Orderly => _orderly.Token;

    /// <summary>Fires at the second.</summary>
    public CancellationToken Hurry => _hurry.Token;

    /// <summary>Asks; nothing more happens once the process is ending.</summary>
    public void Ask()
    {
        if (_over) return;
        if (_orderly.IsCancellationRequested) _hurry.Cancel();
        else _orderly.Cancel();
    }

    public void OnSignal(PosixSignalContext context)
    {
        // The runtime would end the process at once.
        context.Cancel = true;
        Ask();
    }

    public void Dispose()
    {
        _over = true;
        _orderly.Dispose();
        _hurry.Dispose();
    }
}
