using Mesh.Cli.Demo;
using Mesh.Cli.Stat;
using Spectre.Console;

namespace Mesh.Cli.Tests.Demo;

public sealed class DemoFactsTests
{
    [Theory]
    [InlineData("10 11 Connection refused", true)]
    [InlineData("11 10 Connection refused", false)]
    [InlineData("11 0", false)]
    public void That_most_requests_failed_is_told_with_the_reason_and_where_to_look(string line, bool told)
    {
        var facts = new DemoFacts { PlaintextRefused = true };
        facts.TakeClientLine(line);
        Assert.False(facts.Shown);
        Assert.Equal(told, facts.Shortcomings.Any(s => s.StartsWith("Most requests failed, the last with 'Connection refused'", StringComparison.Ordinal) && s.Contains("client-proxy.log", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_live_view_fits_a_terminal_of_80_columns()
    {
        var facts = new DemoFacts { Started = DateTimeOffset.UnixEpoch, PlaintextRefused = true };
        facts.TakeClientLine("123456 2 Connection refused (127.0.0.1:43210), and then a reason that no line of a terminal holds in one piece");
        foreach (var (proxy, label, peer) in new[] { ("web-proxy", "client_id", "client"), ("client-proxy", "server_id", "web") })
        {
            facts.TakeProxy(proxy, PrometheusText.Parse(
                $$"""
                tcp_open_total{tls="true",{{label}}="spiffe://demo.mesh/ns/demo/sa/{{peer}}"} 5
                control_identity_cert_refreshes_total{result="ok"} 12345
                control_identity_cert_expiration_timestamp_seconds 60
                mesh_proxy_identity_next_attempt_timestamp_seconds 4
                mesh_proxy_tls_negotiated_total{group="X25519MLKEM768",cipher="TLS_AES_256_GCM_SHA384"} 7
                """));
        }

        facts.Happened("client-proxy (pid 1234567) was killed by signal 9 (SIGKILL); the rest goes on, and it is started again");
        var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(text) });
        console.Profile.Width = 80;
        console.Write(facts.Table(DateTimeOffset.UnixEpoch));
        var lines = text.ToString().Split('\n');
        Assert.All(lines, line => Assert.InRange(line.TrimEnd().Length, 0, 80));
        foreach (var whole in new[] { "spiffe://demo.mesh/ns/demo/sa/client", "spiffe://demo.mesh/ns/demo/sa/web", "60 s", "12345", "X25519MLKEM768 TLS_AES_256_GCM_SHA384, 0 connections", "refused straight at the port (policy all-authenticated)" })
            Assert.Contains(lines, line => line.Contains(whole, StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_seen_is_nothing_shown()
    {
        var facts = new DemoFacts();
        Assert.Equal(6, facts.Shortcomings.Count);
        Assert.StartsWith("No request was made", facts.Shortcomings[0], StringComparison.Ordinal);
    }
}
