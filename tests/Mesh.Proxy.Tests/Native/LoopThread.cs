using System.Net;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Tests.Native;

/// <summary>An event loop on a thread of its own, stopped and checked at the end of a test.</summary>
internal sealed class LoopThread : IDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;
    private Exception? _fault;

    public LoopThread(TimeProvider? time = null, EventLoopOptions? options = null)
    {
        Loop = new EventLoop(time ?? TimeProvider.System, options ?? new EventLoopOptions());
        _thread = new Thread(Run) { IsBackground = true, Name = "loop" };
        _thread.Start();
    }

    public EventLoop Loop { get; }

    public Task<T> On<T>(Func<ValueTask<T>> work) => Loop.InvokeAsync(work).WaitAsync(Limit);

    public Task On(Func<ValueTask> work) => Loop.InvokeAsync(work).WaitAsync(Limit);

    public Task<T> On<T>(Func<T> work) => Loop.InvokeAsync(work).WaitAsync(Limit);

    public Task<TcpListener> ListenAsync(IPAddress? address = null) => On(() => TcpListener.Listen(Loop, new IPEndPoint(address ?? IPAddress.Loopback, 0)));

    /// <summary>Stops the loop and waits until its thread has ended; fails when the loop failed.</summary>
    public void Stop()
    {
        _stop.Cancel();
        Assert.True(_thread.Join(Limit), "the loop did not stop");
        Assert.Null(_fault);
    }

    public void Dispose()
    {
        Stop();
        Loop.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        try
        {
            Loop.Run(_stop.Token);
        }
        catch (Exception fault)
        {
            _fault = fault;
        }
    }
}
