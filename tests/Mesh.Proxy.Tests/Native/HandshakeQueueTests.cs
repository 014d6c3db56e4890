using Mesh.Proxy.Native;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Native;

public sealed class HandshakeQueueTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task Handshakes_that_have_begun_go_before_new_ones()
    {
        using var loop = new LoopThread(_time);
        Assert.Equal(["begun", "new 0", "new 1"], await loop.On(async () =>
        {
            var order = new List<string>();
            var begun = new HandshakeTurn(loop.Loop);
            await loop.Loop.Handshakes.WaitAsync(begun);
            Task[] all = [NoteAsync(loop.Loop, new(loop.Loop), "new 0", order), NoteAsync(loop.Loop, new(loop.Loop), "new 1", order), NoteAsync(loop.Loop, begun, "begun", order)];
            await Task.WhenAll(all);
            return order;
        }));
    }

    [Fact]
    public async Task Under_overload_the_newest_is_served_first_and_afterwards_the_oldest_again()
    {
        using var loop = new LoopThread(_time);
        Assert.Equal(["4", "3", "2", "1", "0", "5", "6"], await loop.On(async () =>
        {
            var queue = new HandshakeQueue(loop.Loop, stepsPerTurn: 1);
            var order = new List<string>();
            await queue.WaitAsync(new HandshakeTurn(loop.Loop));
            List<Task> all = [.. Enumerable.Range(0, 5).Select(i => NoteAsync(queue, new(loop.Loop), $"{i}", order))];
            _time.Advance(TimeSpan.FromMilliseconds(HandshakeQueue.Overload + 10));
            await loop.Loop.YieldAsync();
            while (queue.Count > 0) queue.Grant();
            all.AddRange([NoteAsync(queue, new(loop.Loop), "5", order), NoteAsync(queue, new(loop.Loop), "6", order)]);
            while (queue.Count > 0) queue.Grant();
            await Task.WhenAll(all);
            return order;
        }));
    }

    [Fact]
    public async Task Beyond_the_bound_the_one_that_has_waited_longest_is_sent_away()
    {
        using var loop = new LoopThread(_time);
        (int waiting, IoStatus oldest, bool nextWaits) = await loop.On(async () =>
        {
            var queue = new HandshakeQueue(loop.Loop, stepsPerTurn: 1);
            await queue.WaitAsync(new HandshakeTurn(loop.Loop));
            List<Task<IoStatus>> all = [.. Enumerable.Range(0, HandshakeQueue.MaxWaiting + 1).Select(_ => queue.WaitAsync(new HandshakeTurn(loop.Loop)).AsTask())];
            IoStatus first = await all[0];
            var result = (queue.Count, first, !all[1].IsCompleted);
            while (queue.Count > 0) queue.Grant();
            await Task.WhenAll(all);
            return result;
        });
        Assert.Equal((HandshakeQueue.MaxWaiting, IoStatus.OutOfResources, true), (waiting, oldest, nextWaits));
    }

    [Fact]
    public async Task Who_leaves_takes_no_step_from_the_others()
    {
        using var loop = new LoopThread(_time);
        Assert.Equal(["left: Reset", "stays: Ok"], await loop.On(async () =>
        {
            var queue = new HandshakeQueue(loop.Loop, stepsPerTurn: 1);
            await queue.WaitAsync(new HandshakeTurn(loop.Loop));
            var order = new List<string>();
            var left = new HandshakeTurn(loop.Loop);
            Task[] all = [NoteStatusAsync(left, "left"), NoteStatusAsync(new HandshakeTurn(loop.Loop), "stays")];
            queue.Leave(left, IoStatus.Reset);
            queue.Leave(left, IoStatus.Closed);
            await all[0];
            queue.Grant();
            await Task.WhenAll(all);
            return order;

            async Task NoteStatusAsync(HandshakeTurn turn, string name) => order.Add($"{name}: {await queue.WaitAsync(turn)}");
        }));
    }

    private static Task NoteAsync(EventLoop loop, HandshakeTurn turn, string name, List<string> order) => NoteAsync(loop.Handshakes, turn, name, order);

    private static async Task NoteAsync(HandshakeQueue queue, HandshakeTurn turn, string name, List<string> order)
    {
        await queue.WaitAsync(turn);
        order.Add(name);
    }
}
