namespace Mesh.Identity.Tokens;

/// <summary>Ends one sleeper's sleep early. A set that comes before the sleep ends it at once; several count as one.</summary>
internal sealed class Wake
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _signal = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal void Set()
    {
        lock (_lock) _signal.TrySetResult();
    }

    /// <summary>Sleeps until woken or until the time is over. One caller at a time.</summary>
    internal async Task WaitAsync(TimeSpan atMost, TimeProvider time, CancellationToken ct)
    {
        Task signal;
        lock (_lock) signal = _signal.Task;
        using var done = CancellationTokenSource.CreateLinkedTokenSource(ct);
        await Task.WhenAny(signal, Task.Delay(atMost, time, done.Token));
        await done.CancelAsync();
        ct.ThrowIfCancellationRequested();
        lock (_lock)
        {
            if (_signal.Task.IsCompleted) _signal = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
