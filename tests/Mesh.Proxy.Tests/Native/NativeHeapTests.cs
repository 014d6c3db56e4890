using System.Globalization;
using System.Runtime.InteropServices;
using Mesh.Proxy.Native;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Native;

[Collection(nameof(Alone))]
public sealed class NativeHeapTests
{
    private const int Blocks = 4096;
    private const int BlockSize = 16 * 1024;

    [Fact]
    public async Task What_a_burst_has_freed_goes_back_to_the_system()
    {
        var time = new ManualTime();
        using var end = new CancellationTokenSource();
        Task keeping = NativeHeap.KeepTrimmedAsync(time, end.Token);
        nint survivor = Burst();
        long before = AnonymousKilobytes();
        time.Advance(NativeHeap.TrimPeriod);
        await end.CancelAsync();
        await keeping;
        long givenBack = before - AnonymousKilobytes();
        Free(survivor);
        // The burst was 64 MB; what else the process does in the meantime is far from half of that.
        Assert.InRange(givenBack, Blocks * (BlockSize / 1024) / 2, long.MaxValue);
    }

    // Many blocks in use, of which the last one stays: malloc by itself gives back nothing below it.
    private static unsafe nint Burst()
    {
        var blocks = new nint[Blocks];
        for (int i = 0; i < Blocks; i++)
        {
            blocks[i] = (nint)NativeMemory.Alloc(BlockSize);
            new Span<byte>((void*)blocks[i], BlockSize).Fill(1);
        }

        foreach (nint block in blocks[..^1]) Free(block);
        return blocks[^1];
    }

    private static unsafe void Free(nint block) => NativeMemory.Free((void*)block);

    private static long AnonymousKilobytes() =>
        long.Parse(File.ReadLines("/proc/self/status").First(l => l.StartsWith("RssAnon:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
}
