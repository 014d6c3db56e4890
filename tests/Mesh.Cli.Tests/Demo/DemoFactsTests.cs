using Mesh.Cli.Demo;

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
    public void Nothing_seen_is_nothing_shown()
    {
        var facts = new DemoFacts();
        Assert.Equal(6, facts.Shortcomings.Count);
        Assert.StartsWith("No request was made", facts.Shortcomings[0], StringComparison.Ordinal);
    }
}
