using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Mesh.Cli.Tap;
using Mesh.Cli.Tests.Stat;
using Mesh.Testing;

namespace Mesh.Cli.Tests.Tap;

public sealed class TapTests
{
    private const string Event =
        """{"timestamp":"2026-01-01T12:00:00.123Z","direction":"inbound","connection":7,"method":"POST","authority":"web.demo:80","path":"/cart","version":"HTTP/2","status":200,"grpc_status":14,"peer":"spiffe://demo.mesh/ns/demo/sa/client","bytes_up":1,"bytes_down":2,"duration_ms":2.25,"left_out":3}""";

    [Fact]
    public void An_event_is_one_line() => Assert.Equal(
        "12:00:00.123 web-proxy inbound spiffe://demo.mesh/ns/demo/sa/client POST web.demo:80 /cart 200 grpc 14 2.25ms (3 left out before)",
        TapText.Of("web-proxy", Event, json: false));

    [Fact]
    public void As_json_an_event_names_its_proxy()
    {
        var told = JsonDocument.Parse(TapText.Of("web-proxy", Event, json: true)!).RootElement;
        Assert.Equal(("web-proxy", 7), (told.GetProperty("proxy").GetString(), told.GetProperty("connection").GetInt64()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    public void What_is_no_event_is_none(string line) => Assert.Null(TapText.Of("p", line, json: false));

    [Fact]
    public void An_event_cannot_write_to_the_terminal() =>
        Assert.DoesNotContain('\u001b', TapText.Of("p", """{"path":"\u001b[2J"}""", json: false)!);

    [Fact]
    public async Task The_command_asks_with_its_filters_and_ends_after_so_many()
    {
        var asked = "";
        using var port = new AdminPort(async (target, stream) =>
        {
            asked = target;
            await StreamAsync(stream, 5);
            while (await stream.ReadAsync(new byte[16]) > 0)
            {
            }
        });
        var run = await ProgramRun.OfAssemblyAsync(
            "mesh", ["tap", "--proxy", port.Address, "--count", "3", "--path", "/a b", "--status", "5xx", "--peer", "spiffe://demo.mesh/ns/demo/sa/client", "--output", "json"]);
        Assert.True(run.ExitCode == 0, run.Errors);
        Assert.Equal(3, run.Output.TrimEnd().Split('\n').Length);
        Assert.Equal("/tap?path=%2Fa%20b&peer=spiffe%3A%2F%2Fdemo.mesh%2Fns%2Fdemo%2Fsa%2Fclient&status=5xx", asked);
    }

    [Fact]
    public async Task A_proxy_that_refuses_or_ends_is_named()
    {
        using var refusing = new AdminPort((_, stream) => AdminPort.WriteAsync(stream, "400 Bad Request", "a filter is ...\n"));
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["tap", "--proxy", refusing.Address, "--status", "x"]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains($"mesh: {refusing.Address}: 400: a filter is ...", run.Errors, StringComparison.Ordinal);

        using var ending = new AdminPort((_, stream) => StreamAsync(stream, 1));
        run = await ProgramRun.OfAssemblyAsync("mesh", ["tap", "--proxy", ending.Address]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("/cart", run.Output, StringComparison.Ordinal);
        Assert.Contains($"mesh: {ending.Address}: the proxy has ended the stream", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_ends_when_its_time_is_over()
    {
        using var port = new AdminPort(async (_, stream) =>
        {
            await StreamAsync(stream, 1);
            while (await stream.ReadAsync(new byte[16]) > 0)
            {
            }
        });
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["tap", "--proxy", port.Address, "--duration", "2s"]);
        Assert.Equal(0, run.ExitCode);
    }

    private static async Task StreamAsync(NetworkStream stream, int events)
    {
        await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"u8.ToArray());
        for (var i = 0; i < events; i++) await stream.WriteAsync(Encoding.UTF8.GetBytes(Event + "\n"));
    }
}
