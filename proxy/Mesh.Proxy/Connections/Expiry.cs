using Mesh.Proxy.Native;

namespace Mesh.Proxy.Connections;

/// <summary>
/// Ends the use of a connection when the certificates it was made with have expired. TLS judges them once, at the start; a connection that carries
/// requests for days would otherwise be trusted for days after its peer no longer is.
/// </summary>
internal sealed class Expiry : IDisposable
{
    private readonly LoopTimer _timer;
    private readonly Action _drain;

    /// <param name="loop">Where the connection lives.</param>
    /// <param name="after">From now; at once when it is past.</param>
    /// <param name="drain">Lets what is under way finish, and nothing else begin.</param>
    public Expiry(EventLoop loop, TimeSpan after, Action drain)
    {
        _drain = drain;
        _timer = loop.Timer(static state => ((Expiry)state!)._drain(), this);
        _timer.Arm((long)Math.Clamp(after.TotalMilliseconds, 1, int.MaxValue));
    }

    public void Dispose() => _timer.Stop();
}
