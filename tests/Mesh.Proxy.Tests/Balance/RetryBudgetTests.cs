using Mesh.Proxy.Balance;

namespace Mesh.Proxy.Tests.Balance;

public sealed class RetryBudgetTests
{
    [Fact]
    public void Defaults_are_those_of_linkerd() =>
        Assert.Equal(new RetryBudgetParameters(0.2, 10, 10_000), RetryBudgetParameters.Default);

    [Fact]
    public void Without_requests_there_is_the_minimum_of_the_whole_time_and_it_comes_back()
    {
        var budget = new RetryBudget(RetryBudgetParameters.Default);
        Assert.Equal(100, Spend(budget, 0));
        Assert.Equal(0, Spend(budget, 8_999));
        // What was spent is forgotten when its slice is.
        Assert.Equal(100, Spend(budget, 10_000));
    }

    [Fact]
    public void Every_fifth_request_allows_a_retry_for_as_long_as_it_counts()
    {
        var budget = new RetryBudget(new RetryBudgetParameters(0.2, 0, 10_000));
        for (var i = 0; i < 4; i++) budget.Request(0);
        Assert.False(budget.TryRetry(0));
        budget.Request(0);
        Assert.Equal(1, Spend(budget, 0));
        for (var i = 0; i < 1_000; i++) budget.Request(500);
        Assert.Equal(200, budget.Available(9_999));
        Assert.Equal(0, budget.Available(10_000));
    }

    [Fact]
    public void Requests_of_each_slice_end_with_it()
    {
        var budget = new RetryBudget(new RetryBudgetParameters(1, 0, 10_000));
        for (var second = 0; second < 10; second++) budget.Request(second * 1_000);
        for (var second = 0; second < 10; second++) Assert.Equal(9 - second, budget.Available(10_000 + second * 1_000));
    }

    [Fact]
    public void Over_any_time_there_are_no_more_retries_than_the_formula_allows()
    {
        var random = new Random(17);
        for (var round = 0; round < 50; round++)
        {
            var parameters = new RetryBudgetParameters(random.Next(0, 5) / 10.0, random.Next(0, 20), random.Next(1, 20) * 1_000);
            var budget = new RetryBudget(parameters);
            List<long> requests = [], retries = [];
            long now = random.Next(100_000);
            for (var i = 0; i < 3_000; i++)
            {
                now += random.Next(20);
                if (random.Next(2) == 0)
                {
                    budget.Request(now);
                    requests.Add(now);
                }

                if (!budget.TryRetry(now)) continue;
                retries.Add(now);
                var span = parameters.Ttl - parameters.Ttl / 10;
                var allowed = parameters.Ratio * requests.Count(at => at > now - parameters.Ttl) + parameters.MinPerSecond * parameters.Ttl / 1000.0;
                Assert.True(retries.Count(at => at > now - span) <= allowed + 1e-6);
            }
        }
    }

    private static int Spend(RetryBudget budget, long now)
    {
        var spent = 0;
        while (budget.TryRetry(now)) spent++;
        return spent;
    }
}
