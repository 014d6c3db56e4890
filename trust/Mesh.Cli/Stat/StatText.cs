using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mesh.Cli.Stat;

/// <summary>How what <c>mesh stat</c> has seen is printed.</summary>
internal static class StatText
{
    private static readonly string[] Heads = ["WORKLOAD", "DIRECTION", "PEER", "TARGET", "SUCCESS", "RPS", "P50", "P95", "P99", "TCP"];

    public static string Table(IReadOnlyList<Traffic> traffic)
    {
        if (traffic.Count == 0) return "nothing passed";
        string[][] rows = [Heads, .. traffic.Select(Row)];
        var widths = Enumerable.Range(0, Heads.Length).Select(column => rows.Max(r => r[column].Length)).ToArray();
        var text = new StringBuilder();
        foreach (var row in rows)
        {
            // Text to the left, figures to the right.
            for (var column = 0; column < row.Length; column++)
                text.Append(column < 4 ? row[column].PadRight(widths[column]) : row[column].PadLeft(widths[column])).Append("  ");
            while (text[^1] == ' ') text.Length--;
            text.Append('\n');
        }

        return text.ToString().TrimEnd('\n');
    }

    public static string Json(IReadOnlyList<Traffic> traffic, TimeSpan window) => JsonSerializer.Serialize(new
    {
        seconds = Math.Round(window.TotalSeconds, 3),
        traffic = traffic.Select(t => new
        {
            workload = t.Key.Workload,
            direction = t.Key.Direction,
            peer = t.Key.Peer,
            target = t.Key.Target,
            successRate = Rounded(t.Success, 4),
            requestsPerSecond = Rounded(t.PerSecond, 2),
            p50 = Rounded(t.P50, 2),
            p95 = Rounded(t.P95, 2),
            p99 = Rounded(t.P99, 2),
            connections = t.Connections,
        }),
    });

    /// <summary>A workload of the same trust domain by its namespace and account, as operators know it.</summary>
    public static string Short(string id, string beside)
    {
        const string scheme = "spiffe://";
        var slash = beside.StartsWith(scheme, StringComparison.Ordinal) ? beside.IndexOf('/', scheme.Length) : -1;
        if (slash < 0 || !id.StartsWith(beside[..(slash + 1)], StringComparison.Ordinal)) return Printable(id);
        return id[(slash + 1)..].Split('/') is ["ns", var ns, "sa", var account] ? Printable($"{ns}/{account}") : Printable(id);
    }

    /// <summary>What others chose goes to a terminal as printable ASCII.</summary>
    public static string Printable(string text) =>
        string.Concat(text.Select(c => c is >= ' ' and <= '~' ? c.ToString() : string.Create(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}")));

    private static string[] Row(Traffic traffic)
    {
        var (key, http) = (traffic.Key, traffic.Success is not null);
        return
        [
            Short(key.Workload, key.Workload), Printable(key.Direction), Short(key.Peer, key.Workload), Printable(key.Target),
            http ? (traffic.Success!.Value * 100).ToString("0.00", CultureInfo.InvariantCulture) + "%" : "-",
            http ? traffic.PerSecond.ToString("0.0", CultureInfo.InvariantCulture) : "-",
            Milliseconds(traffic.P50), Milliseconds(traffic.P95), Milliseconds(traffic.P99),
            traffic.Connections.ToString(CultureInfo.InvariantCulture),
        ];
    }

    private static string Milliseconds(double? value) => value is { } ms ? ms.ToString(ms < 10 ? "0.0" : "0", CultureInfo.InvariantCulture) + "ms" : "-";

    private static double? Rounded(double? value, int digits) => value is { } number ? Math.Round(number, digits) : null;
}
