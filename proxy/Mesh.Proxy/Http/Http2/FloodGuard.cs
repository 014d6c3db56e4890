namespace Mesh.Proxy.Http.Http2;

/// <summary>Frames that cost us work and carry none.</summary>
internal enum IdleFrame : byte
{
    /// <summary>PRIORITY, or a frame of unknown type: is skipped.</summary>
    Skipped = 0,

    /// <summary>A WINDOW_UPDATE of fewer than <see cref="FloodGuard.SmallIncrement"/> bytes.</summary>
    SmallWindowUpdate = 1,

    /// <summary>DATA or CONTINUATION without bytes that ends nothing.</summary>
    Empty = 2,

    /// <summary>PING: wants an answer.</summary>
    Ping = 3,

    /// <summary>RST_STREAM of the peer for a stream that had not ended: the work done for it was in vain (CVE-2023-44487).</summary>
    Reset = 4,

    /// <summary>SETTINGS: wants an answer and changes every stream.</summary>
    Settings = 5,
}

/// <summary>
/// Bounds what a peer can make us do for nothing. Idle frames are paid from one budget; frames that do work and streams that end as they should fill
/// it again, and so does time. Honest peers cancel, ping and update windows in proportion to what they transfer and never notice.
/// </summary>
internal struct FloodGuard(long now)
{
    /// <summary>2,500 requests cancelled at once, as when a proxy with that many loses its clients.</summary>
    private const int Burst = 10_000;

    /// <summary>1,000 cancelled requests a second, for ever: some per cent of a core.</summary>
    private const int PointsPerMillisecond = 4;

    public const int SmallIncrement = 64;

    private int _points = Burst;
    private long _filled = now;

    /// <summary>Pays for an idle frame; <paramref name="now"/> is in milliseconds of a clock that does not go back. <see cref="Http2Fault.Flood"/> when there is no more.</summary>
    public Http2Fault Pay(IdleFrame frame, long now)
    {
        if (now > _filled)
        {
            _points = (int)Math.Min(Burst, _points + (now - _filled) * PointsPerMillisecond);
            _filled = now;
        }

        _points -= Price(frame);
        return _points < 0 ? Http2Fault.Flood : Http2Fault.None;
    }

    /// <summary>DATA with bytes came or went.</summary>
    public void EarnData() => _points = Math.Min(Burst, _points + 2);

    /// <summary>A stream has ended without a reset of the peer.</summary>
    public void EarnStream() => _points = Math.Min(Burst, _points + 4);

    private static int Price(IdleFrame frame) => frame switch
    {
        IdleFrame.Settings => 40,
        IdleFrame.Ping or IdleFrame.Reset => 4,
        IdleFrame.Empty => 2,
        _ => 1,
    };
}
