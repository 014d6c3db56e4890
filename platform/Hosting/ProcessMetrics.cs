using System.Diagnostics;

namespace Mesh.Hosting;

/// <summary>The usual figures about a process, under the names Prometheus' own client libraries use.</summary>
internal static class ProcessMetrics
{
    public static void WriteTo(PrometheusText text)
    {
        using var process = Process.GetCurrentProcess();
        var started = new DateTimeOffset(process.StartTime.ToUniversalTime());
        text.Counter("process_cpu_seconds_total", "CPU time used.", process.TotalProcessorTime.TotalSeconds);
        text.Gauge("process_resident_memory_bytes", "Resident memory.", process.WorkingSet64);
        text.Gauge("process_start_time_seconds", "Start of the process, Unix time.", started.ToUnixTimeMilliseconds() / 1000.0);
        text.Gauge("process_open_fds", "Open file descriptors.", OpenDescriptors());
        text.Gauge("process_threads", "Threads.", process.Threads.Count);
        text.Gauge("dotnet_gc_heap_bytes", "Managed heap after the last collection.", GC.GetTotalMemory(forceFullCollection: false));
        text.Counter("dotnet_gc_collections_total", "Collections of the oldest generation.", GC.CollectionCount(GC.MaxGeneration));
    }

    private static int OpenDescriptors() => Directory.Exists("/proc/self/fd") ? Directory.GetFiles("/proc/self/fd").Length : 0;
}
