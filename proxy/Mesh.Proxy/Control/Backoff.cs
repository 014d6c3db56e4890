namespace Mesh.Proxy.Control;

/// <summary>Waits between attempts at something: each up to twice as long as the one before, capped, and spread over their whole length, so that callers that failed together do not return together.</summary>
internal sealed class Backoff(TimeSpan first, TimeSpan cap, Random random)
{
    private int _attempts;

    /// <summary>The next wait, from a tenth to the whole of the current step.</summary>
    public TimeSpan Next()
    {
        TimeSpan step = first * Math.Pow(2, Math.Min(_attempts++, 16));
        if (step > cap) step = cap;
        return step * (0.1 + 0.9 * random.NextDouble());
    }

    /// <summary>Called when an attempt has brought something.</summary>
    public void Reset() => _attempts = 0;
}
