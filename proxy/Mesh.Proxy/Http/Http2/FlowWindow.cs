namespace Mesh.Proxy.Http.Http2;

/// <summary>What one side may still send, on a stream or on the connection (RFC 9113 section 6.9). Below 0 after a setting has shrunk it.</summary>
internal struct FlowWindow(int size)
{
    /// <summary>Where every window begins unless a setting says otherwise.</summary>
    public const int Default = 65_535;

    public int Available { get; private set; } = size;

    /// <summary>For WINDOW_UPDATE; false when the window would be larger than 2^31-1.</summary>
    public bool TryIncrease(int increment)
    {
        if (Available > int.MaxValue - increment) return false;
        Available += increment;
        return true;
    }

    /// <summary>For a change of the initial size, up or down; false when the window would be larger than 2^31-1.</summary>
    public bool TryShift(int change)
    {
        var shifted = (long)Available + change;
        if (shifted > int.MaxValue) return false;
        // No change of a setting can go below this, as windows never are above 2^31-1 when it shrinks.
        Available = (int)Math.Max(shifted, int.MinValue);
        return true;
    }

    /// <summary>Takes what was sent or received; false when it was more than there was.</summary>
    public bool TryConsume(int bytes)
    {
        if (bytes > Available) return false;
        Available -= bytes;
        return true;
    }
}

/// <summary>What the peer may still send to us, and when to tell it that it may send more: when half of the window has been used and passed on.</summary>
internal struct ReceiveWindow(int size)
{
    private readonly int _size = size;
    private FlowWindow _window = new(size);
    private int _released;

    public readonly int Available => _window.Available;

    /// <summary>Counts the whole length of a DATA frame; false when the peer sent more than it might.</summary>
    public bool TryReceive(int bytes) => _window.TryConsume(bytes);

    /// <summary>
    /// Says that bytes received have been passed on (or dropped) and need no room here any more. Gives the increment for a WINDOW_UPDATE to be sent
    /// now, or 0: small ones are saved up.
    /// </summary>
    public int Release(int bytes)
    {
        _released += bytes;
        if (_released < _size / 2) return 0;
        var increment = _released;
        _released = 0;
        _window.TryIncrease(increment);
        return increment;
    }
}
