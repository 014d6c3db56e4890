using System.Diagnostics;
using System.Globalization;

namespace Mesh.Proxy.Metrics;

/// <summary>The standard <c>process_*</c> families, read from <c>/proc/self</c> at scrape (proc(5)).</summary>
internal static class ProcessMetrics
{
    public static void WriteTo(PrometheusText page)
    {
        page.Counter("process_cpu_seconds_total", "User and system CPU time.");
        page.Sample(Environment.CpuUsage.TotalTime.TotalSeconds);
        using var self = Process.GetCurrentProcess();
        page.Gauge("process_resident_memory_bytes", "Resident memory.");
        page.Sample(self.WorkingSet64);
        page.Gauge("process_virtual_memory_bytes", "Virtual memory.");
        page.Sample(self.VirtualMemorySize64);
        page.Gauge("process_start_time_seconds", "Start of the process since the Unix epoch.");
        page.Sample(Math.Round((self.StartTime.ToUniversalTime() - DateTime.UnixEpoch).TotalSeconds, 2));
        page.Gauge("process_open_fds", "Open descriptors.");
        // The directory that is being listed is one of them.
        page.Sample(Directory.EnumerateFileSystemEntries("/proc/self/fd").Count() - 1);
        page.Gauge("process_max_fds", "Most descriptors that may be open.");
        page.Sample(MaxDescriptors());
    }

    private static double MaxDescriptors()
    {
        foreach (var line in File.ReadLines("/proc/self/limits"))
        {
            if (!line.StartsWith("Max open files", StringComparison.Ordinal)) continue;
            var soft = line["Max open files".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
            return double.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) ? limit : double.PositiveInfinity;
        }

        return double.NaN;
    }
}
