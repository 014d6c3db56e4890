using System.Globalization;
using System.Text;
using System.Text.Json;
using Mesh.Cli.Stat;
using Mesh.Testing;

namespace Mesh.Cli.Tests.Stat;

public sealed class StatTests
{
    // As a proxy writes it, shortened to what counts.
    private const string Page = """
        # HELP request_total Requests.
        # TYPE request_total counter
        request_total{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web"} @REQUESTS
        # HELP response_latency_ms From a request's head to the first byte of its response, in milliseconds.
        # TYPE response_latency_ms histogram
        response_latency_ms_bucket{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web",status_code="200",le="1"} @FAST
        response_latency_ms_bucket{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web",status_code="200",le="2"} @SLOW
        response_latency_ms_bucket{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web",status_code="200",le="+Inf"} @SLOW
        response_latency_ms_sum{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web",status_code="200"} 1
        response_latency_ms_count{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web",status_code="200"} @SLOW
        # HELP response_total Responses that ended, and requests that got none.
        # TYPE response_total counter
        response_total{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web",status_code="200",classification="success"} @SUCCESS
        response_total{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web",status_code="503",classification="failure"} @FAILURE
        # HELP tcp_open_connections Connections open now.
        # TYPE tcp_open_connections gauge
        tcp_open_connections{direction="outbound",peer="src",authority="web.demo:80",tls="no_identity",no_tls_reason="loopback"} 9
        tcp_open_connections{direction="outbound",peer="dst",authority="web.demo:80",tls="true",server_id="spiffe://demo.mesh/ns/demo/sa/web"} 3
        tcp_open_connections{direction="inbound",peer="src",target_addr="127.0.0.1:8080",tls="no_identity",no_tls_reason="no_tls_from_remote"} 1
        # HELP mesh_proxy_identity_info Who this proxy is.
        # TYPE mesh_proxy_identity_info gauge
        mesh_proxy_identity_info{id="spiffe://demo.mesh/ns/demo/sa/client"} 1

        """;

    private const string Workload = "spiffe://demo.mesh/ns/demo/sa/client";

    [Fact]
    public void What_passed_between_two_readings_is_told_by_workload_and_peer()
    {
        var rows = Between(Of(100, 50, 90, 80, 10), Of(140, 80, 130, 118, 12), seconds: 2);
        Assert.Equal(2, rows.Count);
        Assert.Equal(new TrafficKey(Workload, "inbound", "no_tls_from_remote", "127.0.0.1:8080"), rows[0].Key);
        Assert.Equal((null, 0, null, 1), (rows[0].Success, rows[0].PerSecond, rows[0].P50, rows[0].Connections));
        Assert.Equal(new TrafficKey(Workload, "outbound", "spiffe://demo.mesh/ns/demo/sa/web", "web.demo:80"), rows[1].Key);
        Assert.Equal((38 / 40.0, 20, 3), (rows[1].Success, rows[1].PerSecond, rows[1].Connections));
        // 30 of 40 within 1 ms: the 20th lies at two thirds of it, the 38th at four fifths of the way from 1 to 2.
        Assert.Equal((0.6667, 1.8), (Math.Round(rows[1].P50!.Value, 4), Math.Round(rows[1].P95!.Value, 4)));
    }

    [Fact]
    public void A_proxy_that_was_restarted_counts_from_nothing()
    {
        var row = Between(Of(1000, 500, 900, 800, 100), Of(10, 5, 8, 8, 2), seconds: 1)[1];
        Assert.Equal((0.8, 10), (row.Success, row.PerSecond));
    }

    [Theory]
    [InlineData(0.5, 1.5)]
    [InlineData(0.1, 0.5)]
    [InlineData(0.9, 10)]
    [InlineData(1, 10)]
    public void Quantiles_are_those_of_prometheus(double quantile, double expected) => Assert.Equal(
        expected, Quantile.Of(new SortedDictionary<double, double> { [1] = 20, [2] = 80, [10] = 80, [double.PositiveInfinity] = 100 }, quantile)!.Value, 6);

    [Fact]
    public void Without_samples_there_is_no_quantile()
    {
        Assert.Null(Quantile.Of([], 0.5));
        Assert.Null(Quantile.Of(new SortedDictionary<double, double> { [1] = 0, [double.PositiveInfinity] = 0 }, 0.5));
    }

    [Fact]
    public async Task The_command_prints_a_table_and_json()
    {
        using var port = AdminPort.Of(Of(100, 50, 90, 80, 10), Of(140, 80, 130, 118, 12));
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["stat", "--proxy", port.Address, "--window", "200ms"]);
        Assert.True(run.ExitCode == 0, run.Errors);
        var lines = run.Output.TrimEnd().Split('\n');
        Assert.Equal("WORKLOAD DIRECTION PEER TARGET SUCCESS RPS P50 P95 P99 TCP", Blanks(lines[0]));
        Assert.Equal("demo/client inbound no_tls_from_remote 127.0.0.1:8080 - - - - - 1", Blanks(lines[1]));
        Assert.Matches("^demo/client outbound demo/web web.demo:80 95.00% [0-9.]+ 0.7ms 1.8ms 2.0ms 3$", Blanks(lines[2]));

        using var other = AdminPort.Of(Of(100, 50, 90, 80, 10), Of(140, 80, 130, 118, 12));
        run = await ProgramRun.OfAssemblyAsync("mesh", ["stat", "--proxy", other.Address, "--window", "200ms", "--output", "json"]);
        var row = JsonDocument.Parse(run.Output).RootElement.GetProperty("traffic")[1];
        Assert.Equal((Workload, 0.95, 3), (row.GetProperty("workload").GetString(), row.GetProperty("successRate").GetDouble(), row.GetProperty("connections").GetInt64()));
    }

    [Fact]
    public async Task A_proxy_that_does_not_answer_is_named_and_the_others_are_shown()
    {
        using var port = AdminPort.Of(Of(1, 1, 1, 1, 0));
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["stat", "--proxy", port.Address, "--proxy", "127.0.0.1:1", "--window", "100ms"]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("mesh: 127.0.0.1:1: its metrics cannot be read", run.Errors, StringComparison.Ordinal);
        Assert.Contains("demo/client", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("stat")]
    [InlineData("stat --proxy nowhere")]
    [InlineData("stat --proxy 127.0.0.1:0")]
    [InlineData("stat --proxy 127.0.0.1:1 --window 1")]
    [InlineData("stat --dir /nowhere")]
    [InlineData("tap")]
    [InlineData("tap --proxy 127.0.0.1:1 --count 0")]
    [InlineData("tap --proxy 127.0.0.1:1 --duration x")]
    public async Task A_wrong_command_line_is_told_as_such(string arguments) =>
        Assert.Equal(64, (await ProgramRun.OfAssemblyAsync("mesh", arguments.Split(' '))).ExitCode);

    [Fact]
    public void The_proxies_of_a_demo_are_found_in_its_directory()
    {
        using var directory = new TemporaryDirectory();
        directory.Write("proxies.json", """{"web-proxy":"127.0.0.1:4191","client-proxy":"127.0.0.1:4192"}""");
        var targets = new ProxyTargets();
        var command = new System.CommandLine.Command("test");
        targets.AddTo(command);
        Assert.Equal(
            [new ProxyTarget("web-proxy", new Uri("http://127.0.0.1:4191/")), new ProxyTarget("client-proxy", new Uri("http://127.0.0.1:4192/"))],
            targets.Of(command.Parse(["--dir", directory.Path])));
    }

    [Fact]
    public void A_page_is_read_whatever_is_in_its_labels()
    {
        var samples = PrometheusText.Parse(
            "# HELP x y\r\nplain 5 1700000000000\r\n a{b=\"x\\\"y\\\\z\\nw}\", c = \"}\",} 1.5e3\nempty{} +Inf\nnan NaN\nbroken{a=\nbroken{a=\"x\" 1\n{} 5\nno_value\nword x\n");
        Assert.Equal(["plain", "a", "empty", "nan"], samples.Select(s => s.Name));
        Assert.Equal((5, "x\"y\\z\nw}", "}"), (samples[0].Value, samples[1].Label("b"), samples[1].Label("c")));
        Assert.Equal(double.PositiveInfinity, samples[2].Value);
    }

    [Fact]
    public void No_bytes_break_the_reader_of_a_page()
    {
        var random = new Random(11);
        var page = Encoding.UTF8.GetBytes(Of(100, 50, 90, 80, 10));
        for (var round = 0; round < 2000; round++)
        {
            var broken = (byte[])page.Clone();
            for (var i = 0; i < 20; i++) broken[random.Next(broken.Length)] = (byte)random.Next(256);
            var samples = PrometheusText.Parse(Encoding.UTF8.GetString(broken.AsSpan(0, random.Next(broken.Length))));
            TrafficReading.Between("w", samples, samples, TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public void What_others_chose_does_not_reach_the_terminal_as_it_is() =>
        Assert.Contains("\\x1b[2J", StatText.Table([new Traffic(new TrafficKey(Workload, "inbound", "\u001b[2J", ""), null, 0, null, null, null, 1)]), StringComparison.Ordinal);

    private static string Of(int requests, int fast, int slow, int success, int failure) => Page
        .Replace("@REQUESTS", requests.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("@FAST", fast.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("@SLOW", slow.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("@SUCCESS", success.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("@FAILURE", failure.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    private static IReadOnlyList<Traffic> Between(string before, string after, int seconds) =>
        TrafficReading.Between(Workload, PrometheusText.Parse(before), PrometheusText.Parse(after), TimeSpan.FromSeconds(seconds));

    private static string Blanks(string line) => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
