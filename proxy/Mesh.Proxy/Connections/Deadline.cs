using Mesh.Proxy.Native;

namespace Mesh.Proxy.Connections;

/// <summary>A time limit on several waits of one transport together: a peer that sends one byte per second meets it all the same.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly Transport _transport;
    private readonly LoopTimer _timer;

    public Deadline(Transport transport, TimeSpan limit)
    {
        _transport = transport;
        _timer = transport.Loop.Timer(static state => ((Deadline)state!).Expire(), this);
        _timer.Arm((long)limit.TotalMilliseconds);
    }

    public bool HasExpired { get; private set; }

    public void Dispose() => _timer.Stop();

    private void Expire()
    {
        HasExpired = true;
        _transport.Interrupt(IoStatus.TimedOut);
    }
}
