using Mesh.Proxy.Control;

namespace Mesh.Proxy.Tests.Control;

public sealed class BackoffTests
{
    [Fact]
    public void Waits_double_up_to_the_cap_and_start_again_after_success()
    {
        var backoff = new Backoff(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10), new Random(3));
        double cap = 0.1;
        for (int i = 0; i < 100; i++)
        {
            Assert.InRange(backoff.Next().TotalSeconds, cap * 0.1, cap);
            cap = Math.Min(cap * 2, 10);
        }

        backoff.Reset();
        Assert.InRange(backoff.Next().TotalSeconds, 0.01, 0.1);
    }

    [Fact]
    public void Callers_that_failed_together_do_not_return_together()
    {
        var random = new Random(5);
        int[] perSecond = new int[11];
        for (int i = 0; i < 10_000; i++)
        {
            var backoff = new Backoff(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10), random);
            for (int n = 0; n < 10; n++) backoff.Next();
            perSecond[(int)backoff.Next().TotalSeconds]++;
        }

        Assert.True(perSecond.Max() < 1_300, $"{perSecond.Max()} in one second");
    }
}
