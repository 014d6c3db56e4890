namespace Mesh.Proxy.Native;

/// <summary>
/// Shares the loop's thread among TLS handshakes: each step of one is public-key arithmetic that holds up everybody, so a turn has room for few.
/// Handshakes that have begun go before new ones, since two machines have worked for them already. New ones are taken in the order of their
/// arrival while waits are short. Once the oldest has waited for <see cref="Overload"/> there are more than can be served, and the newest is
/// taken instead: its client is the likeliest to be there still, while a queue in order of arrival would do all its work for clients that have
/// given up, for as long as the crowd lasts and after. More than <see cref="MaxWaiting"/> new ones do not wait: the oldest is sent away.
/// </summary>
internal sealed class HandshakeQueue(EventLoop loop, int stepsPerTurn)
{
    /// <summary>New handshakes that may wait: about a second of work on a core of their own.</summary>
    public const int MaxWaiting = 1024;

    /// <summary>Milliseconds: a wait that no client takes for the normal course of things, and well below what makes one give up.</summary>
    public const long Overload = 500;

    private readonly LinkedList<HandshakeTurn> _begun = [];
    private readonly LinkedList<HandshakeTurn> _new = [];
    private int _stepsTaken;

    public int Count => _begun.Count + _new.Count;

    /// <summary>
    /// Awaited before each step of a handshake: completes at once while the turn's budget lasts, else in a later turn.
    /// <see cref="IoStatus.OutOfResources"/>: too many wait, this one is not to be begun.
    /// </summary>
    public ValueTask<IoStatus> WaitAsync(HandshakeTurn turn)
    {
        if (_stepsTaken < stepsPerTurn && _begun.Count == 0 && (turn.HasBegun || _new.Count == 0))
        {
            _stepsTaken++;
            turn.HasBegun = true;
            return new ValueTask<IoStatus>(IoStatus.Ok);
        }

        if (!turn.HasBegun && _new.Count >= MaxWaiting) Leave(_new.First!.Value, IoStatus.OutOfResources);
        turn.Since = loop.Now;
        turn.Place = (turn.HasBegun ? _begun : _new).AddLast(turn);
        return turn.Signal.WaitAsync();
    }

    /// <summary>Ends the wait of <paramref name="turn"/>, if it waits, with <paramref name="why"/>.</summary>
    public void Leave(HandshakeTurn turn, IoStatus why)
    {
        if (turn.Place is not { } place) return;
        turn.Place = null;
        place.List!.Remove(place);
        loop.Defer(turn.Signal, why);
    }

    /// <summary>Grants the steps of one turn. What is granted here counts for the turn that now begins.</summary>
    public void Grant()
    {
        _stepsTaken = 0;
        while (_stepsTaken < stepsPerTurn && Next() is { } next)
        {
            _stepsTaken++;
            next.List!.Remove(next);
            next.Value.Place = null;
            next.Value.HasBegun = true;
            next.Value.Signal.Complete(IoStatus.Ok);
        }
    }

    private LinkedListNode<HandshakeTurn>? Next() =>
        _begun.First ?? (_new.First is { } oldest && loop.Now - oldest.Value.Since >= Overload ? _new.Last : _new.First);
}

/// <summary>One handshake's place in the queue.</summary>
internal sealed class HandshakeTurn(EventLoop loop)
{
    public LoopSignal Signal { get; } = new(loop);

    /// <summary>A step was granted before.</summary>
    public bool HasBegun { get; set; }

    public long Since { get; set; }

    public LinkedListNode<HandshakeTurn>? Place { get; set; }
}
