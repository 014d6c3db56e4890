using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;

namespace Mesh.Proxy.Native;

/// <summary>
/// Builder for nested async methods that run on one loop and suspend often: the state machine lives in a box that is reused, per thread and
/// per method. The framework's pooling builder keeps too few boxes for hundreds of suspended connections (72 to 128 bytes per request were
/// measured). Restrictions: the method is awaited exactly once, on the loop; <see cref="AsyncLocal{T}"/> values do not flow through it.
/// </summary>
internal struct LoopMethodBuilder<TResult>
{
    private Box? _box;
    private TResult _result;

    public static LoopMethodBuilder<TResult> Create() => default;

#pragma warning disable CA1822 // The compiler calls these two on the instance.
    public readonly void Start<TStateMachine>(ref TStateMachine stateMachine) where TStateMachine : IAsyncStateMachine => stateMachine.MoveNext();

    public readonly void SetStateMachine(IAsyncStateMachine stateMachine) { }
#pragma warning restore CA1822

    public readonly ValueTask<TResult> Task => _box is { } box ? new ValueTask<TResult>(box, box.Version) : new ValueTask<TResult>(_result);

    public void SetResult(TResult result)
    {
        if (_box is { } box) box.SetResult(result);
        else _result = result;
    }

    public void SetException(Exception exception) => (_box ??= new FaultBox()).SetException(exception);

    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : INotifyCompletion where TStateMachine : IAsyncStateMachine => awaiter.OnCompleted(Suspend(ref stateMachine));

    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : ICriticalNotifyCompletion where TStateMachine : IAsyncStateMachine => awaiter.UnsafeOnCompleted(Suspend(ref stateMachine));

    private Action Suspend<TStateMachine>(ref TStateMachine stateMachine) where TStateMachine : IAsyncStateMachine
    {
        if (_box is null)
        {
            // The builder is a field of the state machine: it must know its box before the machine is copied into it.
            Box<TStateMachine> box = Box<TStateMachine>.Rent();
            _box = box;
            box.StateMachine = stateMachine;
        }

        return _box.Resume;
    }

    internal abstract class Box : IValueTaskSource<TResult>
    {
        private Action<object?>? _continuation;
        private object? _state;
        private ExceptionDispatchInfo? _fault;
        private TResult? _value;
        private bool _completed;

        public short Version { get; private set; }

        public abstract Action Resume { get; }

        public void SetResult(TResult result)
        {
            _value = result;
            Signal();
        }

        public void SetException(Exception exception)
        {
            _fault = ExceptionDispatchInfo.Capture(exception);
            Signal();
        }

        private void Signal()
        {
            _completed = true;
            if (_continuation is not { } continuation) return;
            object? state = _state;
            _continuation = null;
            _state = null;
            continuation(state);
        }

        public TResult GetResult(short token)
        {
            if (token != Version || !_completed) throw new InvalidOperationException("A loop method was awaited twice or too early.");
            Version++;
            _completed = false;
            TResult value = _value!;
            ExceptionDispatchInfo? fault = _fault;
            _value = default;
            _fault = null;
            Return();
            fault?.Throw();
            return value;
        }

        public ValueTaskSourceStatus GetStatus(short token) => !_completed ? ValueTaskSourceStatus.Pending
            : _fault is null ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Faulted;

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        {
            if (token != Version) throw new InvalidOperationException("A loop method was awaited twice.");
            if (_completed)
            {
                EventLoop.RequireCurrent().Defer(continuation, state);
                return;
            }

            _continuation = continuation;
            _state = state;
        }

        protected abstract void Return();
    }

    private sealed class FaultBox : Box
    {
        public override Action Resume => throw new InvalidOperationException("A method that failed before it suspended is not resumed.");

        protected override void Return() { }
    }

    private sealed class Box<TStateMachine> : Box where TStateMachine : IAsyncStateMachine
    {
        // As many as may plausibly be suspended at once; beyond it they are left to the collector.
        private const int MaxIdle = 1024;

        [ThreadStatic] private static Stack<Box<TStateMachine>>? t_idle;

        public TStateMachine? StateMachine;

        private Box() => Resume = () => StateMachine!.MoveNext();

        public override Action Resume { get; }

        public static Box<TStateMachine> Rent() => t_idle is { Count: > 0 } idle ? idle.Pop() : new Box<TStateMachine>();

        protected override void Return()
        {
            StateMachine = default;
            Stack<Box<TStateMachine>> idle = t_idle ??= new Stack<Box<TStateMachine>>();
            if (idle.Count < MaxIdle) idle.Push(this);
        }
    }
}
