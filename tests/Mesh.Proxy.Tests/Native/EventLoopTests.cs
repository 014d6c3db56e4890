using Mesh.Proxy.Native;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Native;

public sealed class EventLoopTests
{
    [Fact]
    public async Task Runs_what_many_threads_post_each_once_and_in_the_order_of_its_thread()
    {
        using var loop = new LoopThread();
        const int Threads = 8, Each = 5000;
        var seen = new List<int>[Threads];
        for (int i = 0; i < Threads; i++) seen[i] = [];
        int total = 0;
        var all = new TaskCompletionSource();
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            for (int i = 0; i < Each; i++)
            {
                int n = i;
                loop.Loop.Post(() =>
                {
                    seen[t].Add(n);
                    if (++total == Threads * Each) all.SetResult();
                });
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        await all.Task.WaitAsync(LoopThread.Limit);
        foreach (List<int> one in seen) Assert.Equal(Enumerable.Range(0, Each), one);
    }

    [Fact]
    public async Task Goes_on_after_posted_work_that_throws_and_reports_it()
    {
        var reported = new TaskCompletionSource<Exception>();
        using var loop = new LoopThread(options: new EventLoopOptions { Unhandled = reported.SetResult });
        loop.Loop.Post(() => throw new InvalidOperationException("a bug"));
        Assert.Equal("a bug", (await reported.Task.WaitAsync(LoopThread.Limit)).Message);
        Assert.Equal(7, await loop.On(() => 7));
    }

    [Fact]
    public async Task Brings_code_back_to_its_thread_after_it_awaited_a_task_of_another()
    {
        using var loop = new LoopThread();
        (bool before, bool after) = await loop.On(async () =>
        {
            bool at = loop.Loop.IsCurrent;
            await Task.Run(() => 1);
            return (at, loop.Loop.IsCurrent);
        });
        Assert.True(before);
        Assert.True(after);
        Assert.False(loop.Loop.IsCurrent);
    }

    [Fact]
    public async Task A_delay_ends_when_the_clock_reaches_it_and_not_before()
    {
        var time = new ManualTime();
        using var loop = new LoopThread(time);
        Task delay = loop.On(() => loop.Loop.DelayAsync(TimeSpan.FromSeconds(10), CancellationToken.None));
        await loop.On(() => 0);
        time.Advance(TimeSpan.FromSeconds(9.9));
        await loop.On(() => 0);
        Assert.False(delay.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.2));
        await delay;
    }

    [Fact]
    public async Task A_delay_ends_with_its_cancellation()
    {
        using var loop = new LoopThread();
        using var cancel = new CancellationTokenSource();
        Task delay = loop.On(() => loop.Loop.DelayAsync(TimeSpan.FromHours(1), cancel.Token));
        await loop.On(() => 0);
        cancel.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => delay);
        Assert.Equal(0, await loop.On(() => loop.Loop.Timers.Count));
    }

    [Fact]
    public async Task A_stopping_loop_ends_what_waits_on_it()
    {
        var loop = new LoopThread();
        Task delay = loop.On(() => loop.Loop.DelayAsync(TimeSpan.FromHours(1), CancellationToken.None));
        TcpListener listener = await loop.ListenAsync();
        Task<(IoStatus Status, TcpTransport?)> accept = loop.On(listener.AcceptAsync);
        await loop.On(() => 0);
        loop.Dispose();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => delay);
        Assert.Equal(IoStatus.Closed, (await accept).Status);
    }

    [Fact]
    public async Task Flushes_after_the_events_of_a_turn_and_once_for_each_entry()
    {
        using var loop = new LoopThread();
        var probe = new FlushProbe();
        int atOnce = await loop.On(() =>
        {
            loop.Loop.AtEndOfTurn(probe);
            return probe.Flushed;
        });
        Assert.Equal(0, atOnce);
        Assert.Equal(1, await loop.On(async () =>
        {
            await loop.Loop.YieldAsync();
            await loop.Loop.YieldAsync();
            return probe.Flushed;
        }));
    }

    [Fact]
    public async Task Handshake_steps_are_granted_in_order_and_a_few_per_turn()
    {
        using var loop = new LoopThread(options: new EventLoopOptions { HandshakeStepsPerTurn = 2 });
        List<(int Who, long Turn)> granted = await loop.On(async () =>
        {
            var log = new List<(int, long)>();
            Task[] all = [.. Enumerable.Range(0, 9).Select(i => StepAsync(i, log))];
            await Task.WhenAll(all);
            return log;
        });
        Assert.Equal(Enumerable.Range(0, 9), granted.Select(g => g.Who));
        Assert.All(granted.GroupBy(g => g.Turn), turn => Assert.InRange(turn.Count(), 1, 4));
        Assert.True(granted[^1].Turn - granted[0].Turn >= 3);

        async Task StepAsync(int who, List<(int, long)> log)
        {
            await loop.Loop.Handshakes.WaitAsync(new HandshakeTurn(loop.Loop));
            log.Add((who, loop.Loop.Turn));
        }
    }

    private sealed class FlushProbe : IFlushable
    {
        public int Flushed { get; private set; }

        public void Flush() => Flushed++;
    }
}
