using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Mesh.Cli.Demo;
using Mesh.Testing;

namespace Mesh.IntegrationTests.Demo;

/// <summary><c>mesh demo</c> as a newcomer runs it: real processes, real certificates, real bytes.</summary>
public sealed class DemoTests
{
    [Fact]
    public async Task Shows_mutual_tls_between_two_plain_programs_and_leaves_nothing_behind()
    {
        using var directory = new TemporaryDirectory();
        var state = directory.File("state");
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["demo", "--duration", "8s", "--rate", "40", "--dir", state, "--output", "json"], seconds: 120);
        Assert.True(run.ExitCode == 0, run.Errors + run.Output);
        using var json = JsonDocument.Parse(run.Output);
        var facts = json.RootElement;
        Assert.True(facts.GetProperty("requests").GetInt64() > 0);
        Assert.Equal(0, facts.GetProperty("failed").GetInt64());
        Assert.True(facts.GetProperty("requestsPerSecond").GetDouble() > 0);
        Assert.Equal("spiffe://demo.mesh/ns/demo/sa/client", facts.GetProperty("clientId").GetString());
        Assert.Equal("spiffe://demo.mesh/ns/demo/sa/web", facts.GetProperty("serverId").GetString());
        Assert.Equal("TLSv1.3", facts.GetProperty("tlsVersion").GetString());
        Assert.True(facts.GetProperty("renewals").GetInt64() > 0);
        Assert.Equal(JsonValueKind.False, facts.GetProperty("plaintextOnWire").ValueKind);
        Assert.True(facts.GetProperty("controlFindings").GetInt64() > 0);
        Assert.True(facts.GetProperty("plaintextRefused").GetBoolean());
        Assert.False(Directory.Exists(state));
        Assert.Empty(ProcessesMentioning(state));
    }

    [Fact]
    public async Task Refuses_a_directory_with_something_in_it()
    {
        using var directory = new TemporaryDirectory();
        directory.Write("mine", "text");
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["demo", "--duration", "1s", "--dir", directory.Path]);
        Assert.Equal(64, run.ExitCode);
        Assert.True(File.Exists(directory.File("mine")));
    }

    [Fact]
    public async Task A_log_on_a_full_disk_does_not_keep_its_program_from_being_stopped()
    {
        var child = ChildProcess.Start("child", ["/bin/sh", "-c", "echo one; echo two; exec sleep 300"], "", [], new Dictionary<string, string>(), "/dev/full");
        var id = child.Id;
        await child.StopAsync(TimeSpan.FromSeconds(20), TimeProvider.System);
        await child.DisposeAsync();
        Assert.False(Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}")));
    }

    [Fact]
    public async Task A_state_directory_that_cannot_be_made_is_a_plain_message()
    {
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["demo", "--duration", "1s", "--dir", "/proc/nowhere"]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("mesh: ", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("internal error", run.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("destination")]
    [InlineData("web-proxy")]
    [InlineData("client-proxy")]
    [InlineData("web")]
    [InlineData("client")]
    public async Task A_killed_process_is_named_started_again_and_the_rest_goes_on(string victim)
    {
        using var directory = new TemporaryDirectory();
        var state = directory.File("state");
        var running = ProgramRun.OfAssemblyAsync("mesh", ["demo", "--duration", "25s", "--rate", "40", "--dir", state, "--output", "json"], seconds: 150);
        // The demo says in a file who is who; the kill comes when traffic flows.
        var members = await WaitForMembersAsync(Path.Combine(state, "members.json"), running);
        using (var process = Process.GetProcessById(members[victim])) process.Kill();
        var run = await running;
        using var json = JsonDocument.Parse(run.Output);
        var incident = Assert.Single(json.RootElement.GetProperty("incidents").EnumerateArray().Select(i => i.GetString()!));
        Assert.Contains(victim, incident, StringComparison.Ordinal);
        Assert.Contains("SIGKILL", incident, StringComparison.Ordinal);
        Assert.Contains(victim, run.Errors, StringComparison.Ordinal);
        Assert.True(json.RootElement.GetProperty("answeredSinceIncident").GetInt64() > 0, run.Output);
        // The data path does not need the control plane from one request to the next.
        if (victim is "identity" or "destination") Assert.True(json.RootElement.GetProperty("failed").GetInt64() == 0, run.Output);
        Assert.Empty(ProcessesMentioning(state));
    }

    [Fact]
    public async Task Asked_to_stop_it_ends_also_a_child_that_does_not_answer_and_leaves_nothing_behind()
    {
        using var directory = new TemporaryDirectory();
        var state = directory.File("state");
        using var demo = StartWithoutEnd(state);
        var output = demo.StandardOutput.ReadToEndAsync();
        var exited = demo.WaitForExitAsync();
        var members = await WaitForMembersAsync(Path.Combine(state, "members.json"), exited);
        await ProgramRun.OfAsync("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -STOP {members["identity"]}; kill -TERM {demo.Id}")]);
        await exited.WaitAsync(TimeSpan.FromSeconds(90));
        Assert.False(Directory.Exists(state));
        Assert.Empty(ProcessesMentioning(state));
        // A line that is not for a terminal stays one line.
        Assert.Contains((await output).Split('\n'), line => line.StartsWith("on the wire ", StringComparison.Ordinal) && line.EndsWith("where it is plain)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Killed_it_takes_every_program_it_started_with_it()
    {
        using var directory = new TemporaryDirectory();
        var state = directory.File("state");
        using var demo = StartWithoutEnd(state);
        var output = demo.StandardOutput.ReadToEndAsync();
        var exited = demo.WaitForExitAsync();
        var members = await WaitForMembersAsync(Path.Combine(state, "members.json"), exited);
        Assert.Equal(6, members.Count);
        demo.Kill();
        await exited;
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (members.Values.Any(pid => Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}")))) await tick.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        await output;
    }

    [Fact]
    public async Task An_account_that_ends_early_says_what_was_seen_until_then()
    {
        using var directory = new TemporaryDirectory();
        // An empty directory of the user's stays the user's.
        var state = Directory.CreateDirectory(directory.File("state")).FullName;
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["demo", "--duration", "900ms", "--dir", state, "--output", "json"], seconds: 120);
        using var json = JsonDocument.Parse(run.Output);
        // Less than the second between two looks: what is known comes from the one at the end.
        if (json.RootElement.GetProperty("requests").GetInt64() > 0) Assert.Equal("TLSv1.3", json.RootElement.GetProperty("tlsVersion").GetString());
        Assert.Empty(Directory.EnumerateFileSystemEntries(state));
    }

    private static Process StartWithoutEnd(string state) =>
        Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "mesh.dll"), "demo", "--rate", "40", "--dir", state]) { RedirectStandardOutput = true })!;

    private static async Task<Dictionary<string, int>> WaitForMembersAsync(string file, Task demo)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!File.Exists(file))
        {
            Assert.False(demo.IsCompleted, "the demo ended before it ran");
            await tick.WaitForNextTickAsync();
        }

        return JsonSerializer.Deserialize<Dictionary<string, int>>(await File.ReadAllTextAsync(file))!;
    }

    private static IEnumerable<int> ProcessesMentioning(string text)
    {
        foreach (var directory in Directory.GetDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) || pid == Environment.ProcessId) continue;
            string environment;
            try
            {
                environment = File.ReadAllText($"{directory}/environ") + File.ReadAllText($"{directory}/cmdline");
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                continue;
            }

            if (environment.Contains(text, StringComparison.Ordinal)) yield return pid;
        }
    }
}
