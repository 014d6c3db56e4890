using Mesh.Testing;

namespace Mesh.Cli.Tests;

/// <summary>What a wrong command line is told, and what help shows.</summary>
public sealed class CommandLineTests
{
    [Theory]
    [InlineData("--rate x: a number from 1 to 5000", "demo", "--rate", "x")]
    [InlineData("--rate 0.5: a number from 1 to 5000", "demo", "--rate", "0.5")]
    [InlineData("--output yaml: one of text, json", "demo", "--output", "yaml")]
    [InlineData("--root-key-type dsa: one of ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096", "trust", "init", "--trust-domain", "a.b", "--dir", "/nowhere", "--root-key-type", "dsa")]
    public async Task A_wrong_value_is_one_sentence_with_the_option_the_value_and_what_would_be_right(string sentence, params string[] arguments)
    {
        var run = await ProgramRun.OfAssemblyAsync("mesh", arguments);
        Assert.Equal(64, run.ExitCode);
        Assert.Equal("mesh: " + sentence, run.Errors.Split('\n')[0]);
        Assert.DoesNotContain("System.", run.Errors, StringComparison.Ordinal);
        Assert.Equal("", run.Output);
    }

    [Fact]
    public async Task Help_shows_the_commands_that_are_for_people()
    {
        var run = await ProgramRun.OfAssemblyAsync("mesh", ["--help"]);
        Assert.Equal(0, run.ExitCode);
        foreach (var command in new[] { "demo", "identity", "stat", "tap", "trust" }) Assert.Contains($"\n  {command} ", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("workload", run.Output, StringComparison.Ordinal);
    }
}
