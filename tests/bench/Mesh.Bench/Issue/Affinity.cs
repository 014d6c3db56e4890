using System.Runtime.InteropServices;

namespace Mesh.Bench.Issue;

/// <summary>Keeps the calling thread on one core (sched_setaffinity(2)).</summary>
internal static partial class Affinity
{
    public static void PinThisThread(int core)
    {
        var mask = 1UL << core;
        _ = sched_setaffinity(0, sizeof(ulong), in mask);
    }

    [LibraryImport("libc")]
    private static partial int sched_setaffinity(int thread, nuint size, in ulong mask);
}
