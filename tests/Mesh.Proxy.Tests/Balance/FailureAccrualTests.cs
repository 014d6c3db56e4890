using Mesh.Proxy.Balance;

namespace Mesh.Proxy.Tests.Balance;

public sealed class FailureAccrualTests
{
    // Without jitter: waits are exact.
    private static readonly ExponentialBackoff Backoff = ExponentialBackoff.Create(1_000, 60_000, 0)!;

    private readonly FailureAccrual _accrual = new(new FailureAccrualParameters(7, Backoff), new Random(1));

    [Fact]
    public void Defaults_are_those_of_linkerd()
    {
        Assert.Equal(7, FailureAccrualParameters.Default.MaxFailures);
        var backoff = FailureAccrualParameters.Default.Backoff;
        Assert.Equal((1_000, 60_000, 0.5), (backoff.Min, backoff.Max, backoff.Jitter));
    }

    [Fact]
    public void Seven_failures_in_a_row_open_it_and_six_do_not()
    {
        for (var i = 0; i < 6; i++) Fail(0);
        Assert.Equal(AccrualState.Closed, _accrual.State(0));
        _accrual.Ended(0, AttemptOutcome.Success, isProbe: false);
        for (var i = 0; i < 6; i++) Fail(0);
        // A client that left counts as neither.
        _accrual.Ended(0, AttemptOutcome.Unknown, isProbe: false);
        Assert.Equal(AccrualState.Closed, _accrual.State(0));
        Fail(0);
        Assert.Equal(AccrualState.Open, _accrual.State(0));
        Assert.False(_accrual.Admits(999));
        Assert.True(_accrual.Admits(1_000));
    }

    [Fact]
    public void One_probe_at_a_time_and_its_success_closes()
    {
        Open();
        Assert.Equal(AccrualState.Ready, _accrual.State(1_000));
        Assert.True(_accrual.Began());
        Assert.Equal(AccrualState.Probing, _accrual.State(1_000));
        Assert.False(_accrual.Admits(1_000_000));
        // Late answers of requests that began before: they do not decide.
        _accrual.Ended(1_000, AttemptOutcome.Success, isProbe: false);
        Fail(1_000);
        Assert.Equal(AccrualState.Probing, _accrual.State(1_000));
        _accrual.Ended(1_100, AttemptOutcome.Success, isProbe: true);
        Assert.Equal(AccrualState.Closed, _accrual.State(1_100));
        Assert.False(_accrual.Began());
        for (var i = 0; i < 6; i++) Fail(1_100);
        Assert.Equal(AccrualState.Closed, _accrual.State(1_100));
    }

    [Fact]
    public void Each_failed_probe_doubles_the_wait_up_to_the_most()
    {
        Open();
        long now = 1_000;
        foreach (var wait in new long[] { 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000 })
        {
            Assert.True(_accrual.Admits(now));
            Assert.True(_accrual.Began());
            _accrual.Ended(now, AttemptOutcome.Failure, isProbe: true);
            Assert.False(_accrual.Admits(now + wait - 1));
            now += wait;
        }

        Assert.True(_accrual.Began());
        _accrual.Ended(now, AttemptOutcome.Success, isProbe: true);
        // And begins with the shortest when it opens anew.
        for (var i = 0; i < 7; i++) Fail(now);
        Assert.True(_accrual.Admits(now + 1_000));
    }

    [Fact]
    public void A_probe_that_tells_nothing_lets_the_next_be_the_probe()
    {
        Open();
        Assert.True(_accrual.Began());
        _accrual.Ended(1_000, AttemptOutcome.Unknown, isProbe: true);
        Assert.Equal(AccrualState.Ready, _accrual.State(1_000));
    }

    [Fact]
    public void Jitter_adds_up_to_its_share_and_never_passes_the_most()
    {
        var backoff = ExponentialBackoff.Create(1_000, 60_000, 0.5)!;
        var random = new Random(3);
        long[] first = [.. Enumerable.Range(0, 1_000).Select(_ => backoff.After(1, random))];
        Assert.InRange(first.Min(), 1_000, 1_050);
        Assert.InRange(first.Max(), 1_450, 1_500);
        for (var attempts = 1; attempts < 100; attempts++)
            for (var i = 0; i < 20; i++) Assert.InRange(backoff.After(attempts, random), Math.Min(60_000, 1_000L << Math.Min(attempts - 1, 20)), 60_000);
    }

    [Theory]
    [InlineData(-1, 1, 0)]
    [InlineData(2, 1, 0)]
    [InlineData(0, 0, 0)]
    [InlineData(1, 1, -0.1)]
    [InlineData(1, 1, double.NaN)]
    [InlineData(1, 1, double.PositiveInfinity)]
    [InlineData(1, long.MaxValue, 0)]
    public void Bounds_that_are_none_make_no_backoff(long min, long max, double jitter) => Assert.Null(ExponentialBackoff.Create(min, max, jitter));

    private void Fail(long now) => _accrual.Ended(now, AttemptOutcome.Failure, isProbe: false);

    private void Open()
    {
        for (var i = 0; i < 7; i++) Fail(0);
    }
}
