using System.Diagnostics;
using System.Globalization;

namespace Mesh.Bench;

/// <summary>What a process has used so far, read from /proc (proc(5)).</summary>
internal static class ProcessCost
{
    /// <summary>CPU time of all threads in nanoseconds: the first field of each /proc/PID/task/TID/schedstat. Threads that have ended are not counted.</summary>
    public static long CpuNanoseconds(int pid)
    {
        long sum = 0;
        foreach (var task in Directory.GetDirectories($"/proc/{pid}/task"))
        {
            try
            {
                sum += long.Parse(File.ReadAllText(task + "/schedstat").Split(' ')[0], CultureInfo.InvariantCulture);
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                // The thread ended between the listing and the read.
            }
        }

        return sum;
    }

    /// <summary>The sum over several processes, for peers that run workers.</summary>
    public static long CpuNanoseconds(IEnumerable<int> pids) => pids.Sum(CpuNanoseconds);

    /// <summary>Resident memory in megabytes (VmRSS).</summary>
    public static double ResidentMegabytes(int pid) => Megabytes(pid, "VmRSS:");

    /// <summary>Of the resident memory what no file stands behind, in megabytes (RssAnon).</summary>
    public static double AnonymousMegabytes(int pid) => Megabytes(pid, "RssAnon:");

    private static double Megabytes(int pid, string field)
    {
        var line = File.ReadLines($"/proc/{pid}/status").First(l => l.StartsWith(field, StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
    }

    /// <summary>A process and its children, as far as they exist now.</summary>
    public static IReadOnlyList<int> Family(int pid)
    {
        var family = new List<int> { pid };
        var children = $"/proc/{pid}/task/{pid}/children";
        if (File.Exists(children))
            family.AddRange(File.ReadAllText(children).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(c => int.Parse(c, CultureInfo.InvariantCulture)));
        return family;
    }
}

/// <summary>Memory of a process with its workers: all that is resident, and of that what no file stands behind; megabytes.</summary>
internal readonly record struct Memory(double Resident, double Anonymous)
{
    public static Memory Of(Process process)
    {
        var family = ProcessCost.Family(process.Id);
        return new Memory(family.Sum(ProcessCost.ResidentMegabytes), family.Sum(ProcessCost.AnonymousMegabytes));
    }
}
