using Mesh.Spiffe.Renewal;

namespace Mesh.Spiffe.Tests.Renewal;

public sealed class RenewalScheduleTests
{
    private static readonly RenewalLimits Limits = new();

    [Theory]
    [InlineData(86_400, 0.0, 51_840)]
    [InlineData(86_400, 0.5, 56_160)]
    [InlineData(60, 0.0, 36)]
    [InlineData(60, 0.999, 41.994)]
    public void Renews_between_60_and_70_percent_of_what_is_left(double seconds, double sample, double expected)
    {
        TimeSpan wait = RenewalSchedule.UntilRenewal(TimeSpan.FromSeconds(seconds), sample, Limits);
        Assert.Equal(expected, wait.TotalSeconds, 3);
    }

    [Fact]
    public void The_lower_bound_holds_where_the_certificate_lives_to_see_it()
    {
        Assert.Equal(10, RenewalSchedule.UntilRenewal(TimeSpan.FromSeconds(15), 0, Limits).TotalSeconds, 3);
        Assert.Equal(7, RenewalSchedule.UntilRenewal(TimeSpan.FromSeconds(10), 0, Limits).TotalSeconds, 3);
    }

    [Fact]
    public void The_upper_bound_holds_and_is_spread_too()
    {
        var limits = Limits with { Maximum = TimeSpan.FromHours(7) };
        Assert.Equal(6, RenewalSchedule.UntilRenewal(TimeSpan.FromDays(365), 0, limits).TotalHours, 3);
        Assert.InRange(RenewalSchedule.UntilRenewal(TimeSpan.FromDays(365), 0.999, limits).TotalHours, 6.99, 7);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-5)]
    public void What_has_expired_is_renewed_at_once(int seconds) =>
        Assert.Equal(TimeSpan.Zero, RenewalSchedule.UntilRenewal(TimeSpan.FromSeconds(seconds), 0.5, Limits));

    [Fact]
    public void Retries_double_up_to_the_cap()
    {
        TimeSpan day = TimeSpan.FromDays(1);
        double[] longest = [.. Enumerable.Range(1, 12).Select(n => RenewalSchedule.UntilRetry(n, day, 0.9999999, Limits).TotalSeconds)];
        Assert.Equal([0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60], longest.Select(s => Math.Round(s, 2)));
        Assert.Equal(60, RenewalSchedule.UntilRetry(int.MaxValue, day, 0.9999999, Limits).TotalSeconds, 2);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(0)]
    [InlineData(-100_000)]
    public void Without_a_valid_certificate_retries_never_stop_and_stay_within_seconds(int? untilExpiry)
    {
        TimeSpan? left = untilExpiry is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
        foreach (int failures in (int[])[1, 5, 50, 1_000_000])
        {
            TimeSpan wait = RenewalSchedule.UntilRetry(failures, left, 0.9999999, Limits);
            Assert.InRange(wait, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5));
        }
    }

    [Fact]
    public void Several_attempts_fit_in_before_expiry_however_late_the_first_failure()
    {
        var random = new Random(7);
        foreach (double seconds in (double[])[3, 20, 600, 30_000])
        {
            var left = TimeSpan.FromSeconds(seconds);
            int attempts = 0;
            while (left > TimeSpan.Zero)
            {
                attempts++;
                left -= RenewalSchedule.UntilRetry(attempts, left, random.NextDouble(), Limits);
            }

            Assert.True(attempts >= 8, $"only {attempts} attempts in {seconds} s");
        }
    }

    [Fact]
    public void A_retry_is_never_a_busy_loop() =>
        Assert.Equal(TimeSpan.FromMilliseconds(100), RenewalSchedule.UntilRetry(1, TimeSpan.FromMilliseconds(1), 0, Limits));

    [Fact]
    public void A_first_failure_is_one_or_more() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => RenewalSchedule.UntilRetry(0, null, 0, Limits));

    [Fact]
    public void A_request_to_renew_is_spread_over_the_time_given()
    {
        Assert.Equal(TimeSpan.Zero, RenewalSchedule.UntilAsked(TimeSpan.Zero, 0.9, Limits));
        Assert.Equal(15, RenewalSchedule.UntilAsked(TimeSpan.FromSeconds(30), 0.5, Limits).TotalSeconds, 3);
        Assert.Equal(30, RenewalSchedule.UntilAsked(TimeSpan.FromDays(30), 0.5, Limits).TotalMinutes, 3);
    }

    [Fact]
    public void Ten_thousand_holders_certified_together_do_not_renew_together()
    {
        var random = new Random(1);
        int[] perMinute = new int[24 * 60];
        for (int i = 0; i < 10_000; i++) perMinute[(int)RenewalSchedule.UntilRenewal(TimeSpan.FromHours(24), random.NextDouble(), Limits).TotalMinutes]++;
        // 144 minutes of spread: 70 a minute on average.
        Assert.True(perMinute.Max() < 120, $"{perMinute.Max()} in one minute");
    }

    [Fact]
    public void Ten_thousand_holders_that_lost_the_authority_together_do_not_return_together()
    {
        var random = new Random(2);
        int[] perTenth = new int[51];
        for (int i = 0; i < 10_000; i++) perTenth[(int)(RenewalSchedule.UntilRetry(10, null, random.NextDouble(), Limits).TotalSeconds * 10)]++;
        Assert.True(perTenth.Max() < 300, $"{perTenth.Max()} in a tenth of a second");
    }
}
