using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mesh.Proxy.Native;

/// <content>The part that talks to the kernel: epoll_wait(2), epoll_ctl(2), eventfd(2).</content>
internal sealed unsafe partial class EventLoop
{
    // struct epoll_event is packed on x86-64 only (epoll_ctl(2), bits/epoll.h).
    private static readonly int s_eventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int s_dataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    private readonly byte[] _events = GC.AllocateArray<byte>(4096 * 16, pinned: true);

    private void WaitAndDispatch(long maxWait)
    {
        long patience = Patience(maxWait);
        int timeout = patience >= int.MaxValue ? -1 : (int)patience;
        byte* events = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_events));
        int count = Libc.epoll_wait(_epoll, events, Math.Min(Options.EventsPerTurn, 4096), timeout);
        if (count < 0 && Libc.LastError != Libc.EINTR) throw new InvalidOperationException($"epoll_wait failed with errno {Libc.LastError}.");
        UpdateNow();
        for (int i = 0; i < count; i++, events += s_eventSize)
        {
            uint what = Unsafe.ReadUnaligned<uint>(events);
            ulong data = Unsafe.ReadUnaligned<ulong>(events + s_dataOffset);
            if (data == ulong.MaxValue)
            {
                ulong count64;
                _ = Libc.read(_wakeUp, &count64, sizeof(ulong));
                // From here on a post must wake the loop again; what was posted before is run in this turn.
                Interlocked.Exchange(ref _wakeUpSent, 0);
                continue;
            }

            int fd = (int)(uint)data;
            if ((uint)fd < (uint)_sockets.Length && _sockets[fd] is { } socket && socket.Generation == (uint)(data >> 32)) socket.OnEvents(what);
        }
    }

    private void SendWakeUp()
    {
        ulong one = 1;
        // Fails only when the counter is full (then the loop is awake) or the loop is gone (then nothing waits for it).
        _ = Libc.write(_wakeUp, &one, sizeof(ulong));
    }

    private int ControlAdd(int fd, uint events, ulong data)
    {
        byte* ev = stackalloc byte[16];
        Unsafe.WriteUnaligned(ev, events);
        Unsafe.WriteUnaligned(ev + s_dataOffset, data);
        return Libc.epoll_ctl(_epoll, Libc.EPOLL_CTL_ADD, fd, ev) == 0 ? 0 : Libc.LastError;
    }
}
