using System.Runtime.InteropServices;

namespace Mesh.Hosting;

/// <summary>SIGTERM, SIGINT and the end of the program that started us (<see cref="StarterWatch"/>) as a cancellation: the process ends when it has drained, not when the signal arrives.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration _term;
    private readonly PosixSignalRegistration _interrupt;

    public StopSignals()
    {
        _term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        StarterWatch.Begin(_stop.Cancel);
    }

    public CancellationToken Token => _stop.Token;

    // The source itself stays usable: the watch of the starter may still call it.
    public void Dispose()
    {
        _term.Dispose();
        _interrupt.Dispose();
    }

    private void Stop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _stop.Cancel();
    }
}
