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
        var members = await WaitForMembersAsync(directory.Path, running);
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
        using var demo = StartWithoutEnd(state, directory.Path);
        var output = demo.StandardOutput.ReadToEndAsync();
        var exited = demo.WaitForExitAsync();
        var members = await WaitForMembersAsync(directory.Path, exited);
        await ProgramRun.OfAsync("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -STOP {members["identity"]}; kill -TERM {demo.Id}")]);
        await exited.WaitAsync(TimeSpan.FromSeconds(90));
        Assert.False(Directory.Exists(state));
        Assert.Empty(ProcessesMentioning(state));
        // A line that is not for a terminal stays one line.
        Assert.Contains((await output).Split('\n'), line => line.StartsWith("on the wire ", StringComparison.Ordinal) && line.EndsWith("where it is plain)", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    // A directory of the user's choice stays: there may be something to look at.
    [InlineData(true)]
    public async Task Killed_it_takes_every_program_it_started_with_it_and_its_own_directory(bool named)
    {
        using var directory = new TemporaryDirectory();
        using var demo = StartWithoutEnd(named ? directory.File("state") : null, directory.Path);
        var output = demo.StandardOutput.ReadToEndAsync();
        var exited = demo.WaitForExitAsync();
        var members = await WaitForMembersAsync(directory.Path, exited);
        Assert.Equal(6, members.Count);
        demo.Kill();
        await exited;
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (members.Values.Any(pid => Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}")))) await tick.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        while (!named && Directory.GetDirectories(directory.Path, "mesh-demo-*").Length > 0) await tick.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        Assert.Equal(named, File.Exists(directory.File("state/members.json")));
        await output;
    }

    [Theory]
    [InlineData(1, "--dir", "/proc/nowhere")]
    [InlineData(64, "--rate", "fast")]
    [InlineData(64, "--rates", "1")]
    public async Task That_it_cannot_start_is_an_object_as_well(int exitCode, params string[] arguments)
    {
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["demo", "--output", "json", .. arguments]);
        Assert.Equal(exitCode, run.ExitCode);
        using var json = JsonDocument.Parse(run.Output);
        var error = Assert.Single(json.RootElement.EnumerateObject());
        Assert.Equal("error", error.Name);
        Assert.Contains(arguments[0], error.Value.GetString(), StringComparison.Ordinal);
        Assert.StartsWith("mesh: " + error.Value.GetString()!.Split('\n')[0], run.Errors, StringComparison.Ordinal);
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

    private static readonly EnumerationOptions Unlocked = new() { RecurseSubdirectories = true, IgnoreInaccessible = true };

    // Without a directory named, its own is made in the temporary one.
    private static Process StartWithoutEnd(string? state, string temporary)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "mesh.dll"), "demo", "--rate", "40"]) { RedirectStandardOutput = true, Environment = { ["TMPDIR"] = temporary } };
        if (state is not null)
        {
            start.ArgumentList.Add("--dir");
            start.ArgumentList.Add(state);
        }

        return Process.Start(start)!;
    }

    private static async Task<Dictionary<string, int>> WaitForMembersAsync(string directory, Task demo)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        string? file;
        while ((file = Directory.EnumerateFiles(directory, "members.json", Unlocked).FirstOrDefault()) is null)
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
