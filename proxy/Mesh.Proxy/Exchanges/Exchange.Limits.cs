using Mesh.Proxy.Balance;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Metrics;

namespace Mesh.Proxy.Exchanges;

/// <summary>What ends an exchange early, and what sends it a second time. One timer runs for all: it fires at the first deadline and looks which it is.</summary>
internal sealed partial class Exchange
{
    private const long Never = long.MaxValue;

    private bool _pausing;
    private long _waitUntil;
    private long _requestUntil;
    private long _responseUntil;
    private long _attemptUntil;
    private long _idleUntil;

    /// <summary>To be set before <see cref="Forward"/>.</summary>
    public ExchangeLimits Limits { get; set; }

    /// <summary>Tries after an answer that was not good enough, or did not come in time.</summary>
    public int Retries { get; private set; }

    /// <summary>The whole of what has come of the request can be sent again.</summary>
    public bool CanSendAgain => _bodyKept && _down is not null && !_head.IsUpgrade && _head.Method != RequestMethod.Connect;

    private long Now => _pool.Loop.Now;

    private int Replay => Limits.Replay > 0 ? Limits.Replay : MaxReplay;

    private void ForgetLimits()
    {
        (Limits, Retries, _pausing) = (default, 0, false);
        (_waitUntil, _requestUntil, _responseUntil, _attemptUntil, _idleUntil) = (Never, Never, Never, Never, Never);
    }

    private void BeginLimits()
    {
        if (Limits.Request > 0) _requestUntil = Now + Limits.Request;
        if (_requestEnded) RequestHasEnded();
        Rearm();
    }

    private void RequestHasEnded()
    {
        if (Limits.Response == 0 || _responseUntil != Never) return;
        _responseUntil = Now + Limits.Response;
        Rearm();
    }

    private void BeginTry()
    {
        if (Limits.Attempt > 0) _attemptUntil = Now + Limits.Attempt;
        Moved();
        Rearm();
    }

    // The timer is left where it is: when it fires too early it is armed again.
    private void Moved()
    {
        if (Limits.Idle > 0 && _up is not null) _idleUntil = Now + Limits.Idle;
    }

    private void Rearm()
    {
        var next = Math.Min(Math.Min(Math.Min(_waitUntil, _requestUntil), Math.Min(_responseUntil, _attemptUntil)), _idleUntil);
        if (next == Never) _timer.Stop();
        else _timer.Arm(next - Now);
    }

    private void OnTimer()
    {
        if (Started == 0 || _responseEnded) return;
        var now = Now;
        if (now >= _requestUntil) TimedOut(Refusal.RequestTimeout);
        else if (now >= _responseUntil) TimedOut(Refusal.ResponseTimeout);
        else if (now >= _idleUntil) TimedOut(Refusal.IdleTimeout);
        else if (now >= _waitUntil) WaitedTooLong();
        else if (now >= _attemptUntil) TryTookTooLong();
        else Rearm();
    }

    private void TimedOut(Refusal why)
    {
        EndAttempt(AttemptOutcome.Failure);
        Refuse(why);
    }

    private void WaitedTooLong()
    {
        if (!_pausing)
        {
            TimedOut(Refusal.FailFast);
            return;
        }

        StopWaiting();
        SendAgain();
    }

    private void TryTookTooLong()
    {
        EndAttempt(AttemptOutcome.Failure);
        DropRequest();
        if (_routes.RetryAfter(this, null, default) is { } wait) SendAgain(wait);
        else Refuse(Refusal.ResponseTimeout);
    }

    /// <summary>True: the answer is dropped, and the request is sent again.</summary>
    private bool IsDropped(HeaderBlock fields, in MessageHead head)
    {
        if (Status != 0 || _routes.RetryAfter(this, fields, head) is not { } wait) return false;
        EndAttempt(HttpStatusCounters.IsFailure(head.Status, GrpcStatusOf(fields)) ? AttemptOutcome.Failure : AttemptOutcome.Unknown);
        DropRequest();
        SendAgain(wait);
        return true;
    }

    private void SendAgain(long wait)
    {
        Retries++;
        if (wait == 0)
        {
            SendAgain();
            return;
        }

        _pausing = true;
        _waitUntil = Now + wait;
        Rearm();
    }

    private void SendAgain()
    {
        if (_routes.Another(this) is { } other) Try(other);
        else Refuse(Refusal.AllFailing);
    }
}
