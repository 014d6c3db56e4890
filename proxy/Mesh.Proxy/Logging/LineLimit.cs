namespace Mesh.Proxy.Logging;

/// <summary>
/// Lets <c>burst</c> lines through at once and then one in each <c>period</c>, and counts what it keeps back: for lines that a peer, or a
/// trouble that lasts, could bring about without end. One thread at a time.
/// </summary>
internal sealed class LineLimit(int burst, TimeSpan period, TimeProvider time)
{
    private readonly long _origin = time.GetTimestamp();
    private TimeSpan _paidUntil;
    private long _leftOut;

    /// <summary>Whether a line may be written now; then with the number of those kept back since the last.</summary>
    public bool Admit(out long leftOut)
    {
        var now = time.GetElapsedTime(_origin);
        if (_paidUntil < now) _paidUntil = now;
        var admitted = _paidUntil - now <= period * (burst - 1);
        leftOut = admitted ? _leftOut : 0;
        if (admitted) (_paidUntil, _leftOut) = (_paidUntil + period, 0);
        else _leftOut++;
        return admitted;
    }
}
