using System.Numerics;

namespace Mesh.Proxy.Native;

/// <summary>
/// Timers of one loop, in milliseconds. Two wheels of 1,024 slots: one of 1 ms, one of 1,024 ms. Arming, moving and stopping cost a few stores;
/// a timer whose deadline only moves later (an idle timeout) is not moved in the wheel until its old slot comes round.
/// </summary>
internal sealed class TimerWheel(long now)
{
    private const int Slots = 1024;
    private const int Shift = 10;

    private readonly LoopTimer?[] _near = new LoopTimer?[Slots];
    private readonly LoopTimer?[] _far = new LoopTimer?[Slots];
    private readonly ulong[] _nearUsed = new ulong[Slots / 64];
    private readonly ulong[] _farUsed = new ulong[Slots / 64];
    private long _time = now;
    private int _count;

    /// <summary>Where the wheel stands: everything due at or before this millisecond has fired.</summary>
    public long Time => _time;

    public int Count => _count;

    public void Insert(LoopTimer timer)
    {
        // Never the slot the hand is on: it has been emptied already.
        long due = Math.Max(timer.Deadline, _time + 1);
        bool near = due - _time < Slots;
        long slot = near ? due : Math.Min(due >> Shift, (_time >> Shift) + Slots - 1);
        int index = (int)(slot & (Slots - 1));
        (LoopTimer?[] wheel, ulong[] used) = near ? (_near, _nearUsed) : (_far, _farUsed);
        timer.Scheduled = near ? due : slot << Shift;
        timer.InFar = !near;
        timer.Index = index;
        timer.Previous = null;
        timer.Next = wheel[index];
        if (timer.Next is { } next) next.Previous = timer;
        wheel[index] = timer;
        used[index >> 6] |= 1UL << (index & 63);
        _count++;
    }

    public void Remove(LoopTimer timer)
    {
        (LoopTimer?[] wheel, ulong[] used) = timer.InFar ? (_far, _farUsed) : (_near, _nearUsed);
        if (timer.Next is { } next) next.Previous = timer.Previous;
        if (timer.Previous is { } previous) previous.Next = timer.Next;
        else
        {
            wheel[timer.Index] = timer.Next;
            if (timer.Next is null) used[timer.Index >> 6] &= ~(1UL << (timer.Index & 63));
        }

        timer.Next = timer.Previous = null;
        timer.Scheduled = LoopTimer.NotScheduled;
        _count--;
    }

    /// <summary>Milliseconds from <paramref name="now"/> until the wheel has something to do, or -1 when it is empty.</summary>
    public long UntilNext(long now)
    {
        if (_count == 0) return -1;
        long near = Distance(_nearUsed, (int)(_time & (Slots - 1)));
        long far = Distance(_farUsed, (int)((_time >> Shift) & (Slots - 1)));
        long next = long.MaxValue;
        if (near > 0) next = _time + near;
        if (far > 0) next = Math.Min(next, ((_time >> Shift) + far) << Shift);
        return Math.Max(0, next - now);
    }

    /// <summary>Moves the hand to <paramref name="now"/> and fires what falls due on the way, each timer at most once per call.</summary>
    public void Advance(long now)
    {
        while (_time < now)
        {
            long step = UntilNext(_time);
            if (step < 0 || _time + step > now)
            {
                _time = now;
                return;
            }

            _time += step;
            if ((_time & (Slots - 1)) == 0) Empty(_far, (int)((_time >> Shift) & (Slots - 1)));
            Empty(_near, (int)(_time & (Slots - 1)));
        }
    }

    private void Empty(LoopTimer?[] wheel, int index)
    {
        while (wheel[index] is { } timer)
        {
            Remove(timer);
            if (timer.Deadline > _time) Insert(timer);
            else timer.Fire();
        }
    }

    // Slots until the next used one after the hand, 1..1024, or 0 when none is used.
    private static int Distance(ulong[] used, int hand)
    {
        for (int offset = 1; offset <= Slots;)
        {
            int index = (hand + offset) & (Slots - 1);
            ulong word = used[index >> 6] >> (index & 63);
            if (word != 0) return Math.Min(offset + BitOperations.TrailingZeroCount(word), Slots);
            offset += 64 - (index & 63);
        }

        return 0;
    }
}

/// <summary>A timeout that can be armed, pushed back and stopped any number of times without allocation. Only its loop's thread may touch it.</summary>
internal sealed class LoopTimer(EventLoop loop, Action<object?> callback, object? state)
{
    internal const long NotScheduled = -1;

    internal LoopTimer? Next, Previous;
    internal int Index;
    internal bool InFar;
    internal long Scheduled = NotScheduled;
    internal long Deadline;

    public bool IsArmed => Scheduled != NotScheduled;

    /// <summary>Fires once, at the earliest <paramref name="milliseconds"/> from now, unless armed again or stopped before.</summary>
    public void Arm(long milliseconds)
    {
        // One more: the clock was read at the start of the turn, and a timeout must not end early.
        Deadline = loop.Now + Math.Max(0, milliseconds) + 1;
        if (IsArmed)
        {
            if (Deadline >= Scheduled) return;
            loop.Timers.Remove(this);
        }

        loop.Timers.Insert(this);
    }

    public void Stop()
    {
        if (IsArmed) loop.Timers.Remove(this);
    }

    internal void Fire()
    {
        try
        {
            callback(state);
        }
        catch (Exception fault)
        {
            loop.Report(fault);
        }
    }
}
