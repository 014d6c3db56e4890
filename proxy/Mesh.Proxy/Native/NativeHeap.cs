namespace Mesh.Proxy.Native;

/// <summary>
/// What malloc holds for the process. By itself it gives back to the system only the end of an arena, and nearly every thread has an arena: what
/// compilation, a renewal or a burst of connections used stays resident below the first small block that outlives it, in one arena after the other.
/// </summary>
internal static class NativeHeap
{
    /// <summary>
    /// Between two trims. A trim that gives back 6 MB takes some milliseconds of the calling thread and locks one arena at a time; what is needed
    /// again costs a page fault for each 4 KB.
    /// </summary>
    public static readonly TimeSpan TrimPeriod = TimeSpan.FromSeconds(30);

    /// <summary>Gives pages that hold nothing back to the system, in all arenas (malloc_trim(3)), every <see cref="TrimPeriod"/> until <paramref name="ct"/> fires; then returns.</summary>
    public static async Task KeepTrimmedAsync(TimeProvider time, CancellationToken ct)
    {
        using var period = new PeriodicTimer(TrimPeriod, time);
        try
        {
            // It says whether there was anything to give back; there is nothing to do about either.
            while (await period.WaitForNextTickAsync(ct)) _ = Libc.malloc_trim(0);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }
}
