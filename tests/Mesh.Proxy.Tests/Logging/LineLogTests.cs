using System.Text.Json;
using Mesh.Proxy.Logging;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Logging;

public sealed class LineLogTests
{
    [Fact]
    public async Task Writes_one_line_per_event_in_order()
    {
        var output = new StringWriter();
        await using (var log = new LineLog(output, LogLevel.Info, LogFormat.Text, new ManualTime()))
        {
            log.Write(LogLevel.Debug, 3001, "not written");
            log.Write(LogLevel.Info, 3002, "listening", ("address", "127.0.0.1:4143"), ("absent", null));
            log.Write(LogLevel.Warn, 3003, "refused", ("reason", "two words"));
        }

        Assert.Equal(
            "2026-01-01T00:00:00.000Z info  3002 listening address=127.0.0.1:4143\n" +
            "2026-01-01T00:00:00.000Z warn  3003 refused reason=\"two words\"\n",
            output.ToString());
    }

    [Fact]
    public void A_value_from_a_peer_cannot_start_a_line_or_reach_a_terminal()
    {
        var log = new LineLog(TextWriter.Null, LogLevel.Info, LogFormat.Text, new ManualTime());
        var line = log.Compose(LogLevel.Info, 3001, "name", [("sni", "a\nb\u001b[31m\"")]);
        Assert.DoesNotContain('\n', line);
        Assert.DoesNotContain('\u001b', line);
        Assert.EndsWith("sni=\"a\\nb\\u001b[31m\\\"\"", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("it isn't <b>bold</b> & says \u00e9\u4e2d", "\"it isn't <b>bold</b> & says \u00e9\u4e2d\"")]
    [InlineData("x\" level=\"error", "\"x\\\" level=\\\"error\"")]
    [InlineData("x\\\" forged=1 \"", "\"x\\\\\\\" forged=1 \\\"\"")]
    [InlineData("x forged=1", "\"x forged=1\"")]
    [InlineData("forged=1", "\"forged=1\"")]
    [InlineData("a\r\n2026-01-01 error", "\"a\\r\\n2026-01-01 error\"")]
    [InlineData("\u2028\u2029\u202e\u0085\u009b\u007f\0", "\"\\u2028\\u2029\\u202e\\u0085\\u009b\\u007f\\u0000\"")]
    [InlineData("", "\"\"")]
    public void A_value_from_a_peer_cannot_forge_quotes_or_fields(string value, string written)
    {
        var log = new LineLog(TextWriter.Null, LogLevel.Info, LogFormat.Text, new ManualTime());
        Assert.Equal($"2026-01-01T00:00:00.000Z info  3001 name detail={written} open=1", log.Compose(LogLevel.Info, 3001, "name", [("detail", value), ("open", 1)]));
    }

    [Fact]
    public void Long_values_are_cut()
    {
        var log = new LineLog(TextWriter.Null, LogLevel.Info, LogFormat.Text, new ManualTime());
        Assert.InRange(log.Compose(LogLevel.Info, 3001, "name", [("sni", new string('a', 100_000))]).Length, 1000, 1200);
    }

    [Fact]
    public void Json_lines_parse_and_keep_numbers()
    {
        var log = new LineLog(TextWriter.Null, LogLevel.Info, LogFormat.Json, new ManualTime());
        var line = JsonDocument.Parse(log.Compose(LogLevel.Error, 3001, "it is \"broken\"", [("bytes", 12L), ("peer", "x\n"), ("after", TimeSpan.FromMilliseconds(1500))])).RootElement;
        Assert.Equal("error", line.GetProperty("level").GetString());
        Assert.Equal(3001, line.GetProperty("event").GetInt32());
        Assert.Equal("it is \"broken\"", line.GetProperty("message").GetString());
        Assert.Equal(12, line.GetProperty("bytes").GetInt64());
        Assert.Equal("x\n", line.GetProperty("peer").GetString());
        Assert.Equal("1.5s", line.GetProperty("after").GetString());
    }

    [Fact]
    public async Task A_stuck_output_costs_lines_and_says_how_many()
    {
        using var gate = new ManualResetEventSlim();
        var output = new StuckWriter(gate);
        var log = new LineLog(output, LogLevel.Info, LogFormat.Text, new ManualTime());
        for (var i = 0; i < 10_000; i++) log.Write(LogLevel.Info, 3001, "line");
        Assert.InRange(log.LostLines, 1, 10_000 - 4096);
        gate.Set();
        await log.DisposeAsync();
        var told = output.Lines.Where(l => l.Contains(" 3000 ", StringComparison.Ordinal)).Sum(l => long.Parse(l.AsSpan(l.LastIndexOf('=') + 1), System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(log.LostLines, told);
        Assert.Equal(10_000, told + output.Lines.Count(l => l.Contains(" 3001 ", StringComparison.Ordinal)));
    }

    private sealed class StuckWriter(ManualResetEventSlim gate) : StringWriter
    {
        public List<string> Lines { get; } = [];

        public override void WriteLine(string? value)
        {
            gate.Wait();
            Lines.Add(value!);
        }
    }
}
