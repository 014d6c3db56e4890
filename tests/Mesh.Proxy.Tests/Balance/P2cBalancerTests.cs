using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Discovery;
using Mesh.Spiffe;

namespace Mesh.Proxy.Tests.Balance;

public sealed class P2cBalancerTests
{
    private readonly List<string> _events = [];
    private readonly P2cBalancer<string> _balancer;

    public P2cBalancerTests() => _balancer = Balancer(accrual: null);

    [Fact]
    public void Without_endpoints_it_says_so() => Assert.Equal(PickResult.NoEndpoints, Pick(0, out _));

    [Fact]
    public void Equal_endpoints_share_equally()
    {
        _balancer.Update(Endpoints(10), 0);
        var counts = Count(20_000, now: 0);
        Assert.All(counts.Values, count => Assert.InRange(count, 1_850, 2_150));
    }

    [Fact]
    public void An_idle_service_is_shared_by_the_weights()
    {
        _balancer.Update([Endpoint(1, weight: 10_000), Endpoint(2, weight: 20_000), Endpoint(3, weight: 70_000)], 0);
        var counts = Count(20_000, now: 0);
        Assert.InRange(counts[1], 1_800, 2_200);
        Assert.InRange(counts[2], 3_750, 4_250);
        Assert.InRange(counts[3], 13_600, 14_400);
    }

    [Fact]
    public void A_busy_service_has_requests_under_way_in_proportion_to_the_weights()
    {
        _balancer.Update([Endpoint(1, weight: 1), Endpoint(2, weight: 2), Endpoint(3, weight: 4)], 0);
        for (var i = 0; i < 700; i++) Assert.Equal(PickResult.Picked, Pick(0, out _));
        int[] pending = [.. _balancer.Endpoints.ToArray().Select(e => e.Pending)];
        Assert.InRange(pending[0], 95, 105);
        Assert.InRange(pending[1], 195, 205);
        Assert.InRange(pending[2], 395, 405);
    }

    [Fact]
    public void Of_two_the_one_with_fewer_requests_under_way_is_chosen()
    {
        _balancer.Update(Endpoints(2), 0);
        for (var i = 0; i < 200; i++) Pick(0, out _);
        Assert.All(_balancer.Endpoints.ToArray(), e => Assert.Equal(100, e.Pending));
    }

    [Fact]
    public void A_slow_endpoint_is_left_alone_until_its_slowness_is_forgotten()
    {
        _balancer.Update(Endpoints(2), 0);
        _balancer.Pick(0, [_balancer.Endpoints[1]], out var slow);
        _balancer.Pick(0, [_balancer.Endpoints[0]], out var fast);
        fast.Answered(5);
        fast.End(5, AttemptOutcome.Success);
        slow.Answered(900);
        slow.End(900, AttemptOutcome.Success);
        Assert.False(Count(1_000, now: 900).ContainsKey(1));
        Assert.True(Count(1_000, now: 900 + 120_000).ContainsKey(1));
    }

    [Fact]
    public void An_endpoint_that_fails_quickly_is_not_taken_for_a_fast_one()
    {
        _balancer.Update(Endpoints(1), 0);
        Pick(0, out var attempt);
        attempt.End(0, AttemptOutcome.Failure);
        Assert.Equal(30, _balancer.Endpoints[0].Latency(0));
        Pick(0, out attempt);
        attempt.End(2_000, AttemptOutcome.Failure);
        Assert.Equal(2_000, _balancer.Endpoints[0].Latency(2_000));
        Assert.Equal(0, _balancer.Endpoints[0].Pending);
    }

    [Fact]
    public void What_was_tried_is_not_chosen_again()
    {
        _balancer.Update(Endpoints(3), 0);
        var tried = new List<BalancedEndpoint<string>>();
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(PickResult.Picked, _balancer.Pick(0, tried.ToArray(), out var attempt));
            Assert.DoesNotContain(attempt.Endpoint, tried);
            tried.Add(attempt.Endpoint);
        }

        Assert.Equal(PickResult.AllTried, _balancer.Pick(0, tried.ToArray(), out _));
    }

    [Fact]
    public void When_all_are_unavailable_it_says_so_at_once_and_lets_one_probe_each_through_later()
    {
        var balancer = Balancer(new FailureAccrualParameters(1, ExponentialBackoff.Create(1_000, 1_000, 0)!));
        balancer.Update(Endpoints(20), 0);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(PickResult.Picked, balancer.Pick(0, [], out var failing));
            failing.End(0, AttemptOutcome.Failure);
        }

        Assert.Equal((0, PickResult.AllUnavailable), (balancer.Available(999), balancer.Pick(999, [], out _)));
        var probes = new List<Attempt<string>>();
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(PickResult.Picked, balancer.Pick(1_000, [], out var probe));
            Assert.True(probe.IsProbe);
            probes.Add(probe);
        }

        Assert.Equal(20, probes.DistinctBy(p => p.Endpoint).Count());
        Assert.Equal(PickResult.AllUnavailable, balancer.Pick(1_000, [], out _));
        probes[0].End(1_001, AttemptOutcome.Success);
        Assert.Equal(PickResult.Picked, balancer.Pick(1_001, [], out var attempt));
        Assert.Equal((probes[0].Endpoint, false), (attempt.Endpoint, attempt.IsProbe));
    }

    [Fact]
    public void Requests_avoid_what_is_out_of_use_even_when_hardly_any_is_left()
    {
        var balancer = Balancer(new FailureAccrualParameters(1, ExponentialBackoff.Create(60_000, 60_000, 0)!));
        balancer.Update(Endpoints(500), 0);
        for (var i = 0; i < 499; i++)
        {
            Assert.Equal(PickResult.Picked, balancer.Pick(0, [], out var failing));
            failing.End(0, AttemptOutcome.Failure);
        }

        Assert.Equal(1, balancer.Available(0));
        for (var i = 0; i < 50; i++)
        {
            Assert.Equal(PickResult.Picked, balancer.Pick(0, [], out var attempt));
            Assert.Equal(AccrualState.Closed, attempt.Endpoint.State(0));
        }
    }

    [Fact]
    public void What_is_known_of_an_endpoint_stays_with_it_and_goes_with_it()
    {
        _balancer.Update(Endpoints(3), 0);
        Assert.Equal(["+1", "+2", "+3"], _events);
        _balancer.Pick(0, [_balancer.Endpoints[0], _balancer.Endpoints[2]], out var attempt);
        attempt.Answered(500);
        // Another weight: the same endpoint.
        _balancer.Update([Endpoint(1), Endpoint(2, weight: 7), Endpoint(4)], 500);
        Assert.Equal(["+1", "+2", "+3", "+4", "-3"], _events);
        var kept = Assert.Single(_balancer.Endpoints.ToArray(), e => e.Endpoint.Address.Port == 2);
        Assert.Equal((500, 1, 7u), (kept.Latency(500), kept.Pending, kept.Endpoint.Weight));
        _balancer.Update([Endpoint(4)], 500);
        _balancer.Update([Endpoint(4), Endpoint(2)], 500);
        Assert.Equal(30, _balancer.Endpoints[1].Latency(500));
        // Its requests end as always though it has left.
        attempt.End(900, AttemptOutcome.Success);
        Assert.Equal(0, _balancer.Endpoints[1].Pending);
    }

    [Fact]
    public void Another_identity_at_the_same_address_is_another_endpoint()
    {
        _balancer.Update([Endpoint(1, identity: "spiffe://example.org/a")], 0);
        _balancer.Update([Endpoint(1, identity: "spiffe://example.org/b")], 0);
        _balancer.Update([Endpoint(1)], 0);
        Assert.Equal(["+1", "+1", "-1", "+1", "-1"], _events);
    }

    /// <summary>Random changes of every kind against the plain truth: members, their weights by the draws, who joined and who left.</summary>
    [Fact]
    public void After_any_changes_it_holds_exactly_the_set()
    {
        var random = new Random(23);
        for (var round = 0; round < 60; round++)
        {
            var joined = new List<int>();
            var left = new List<int>();
            var balancer = new P2cBalancer<string>(
                LoadParameters.Default, null,
                e => { joined.Add(e.Address.Port); return e.Address.Port.ToString(System.Globalization.CultureInfo.InvariantCulture); },
                v => left.Add(int.Parse(v, System.Globalization.CultureInfo.InvariantCulture)), random);
            ImmutableArray<Endpoint> set = [];
            for (var step = 0; step < 60; step++)
            {
                var next = set.ToList();
                for (var changes = random.Next(1, 4); changes > 0; changes--)
                {
                    var kind = random.Next(4);
                    if (kind == 0 || next.Count == 0) next.Insert(random.Next(next.Count + 1), Endpoint(NewPort(next), (uint)random.Next(1, 100)));
                    else if (kind == 1) next.RemoveAt(random.Next(next.Count));
                    else if (kind == 2) next[random.Next(next.Count)] = Endpoint(NewPort(next), (uint)random.Next(1, 100));
                    else
                    {
                        var at = random.Next(next.Count);
                        next[at] = next[at] with { Weight = (uint)random.Next(1, 100) };
                    }
                }

                if (random.Next(10) == 0) next = [.. next.OrderBy(_ => random.Next())];
                var before = balancer.Endpoints.ToArray().ToDictionary(e => e.Endpoint.Address);
                joined.Clear();
                left.Clear();
                balancer.Update([.. next], step);
                Assert.Equal(next, balancer.Endpoints.ToArray().Select(e => e.Endpoint));
                Assert.Equal(next.Select(e => e.Address).Except(set.Select(e => e.Address)).Select(a => a.Port).Order(), joined.Order());
                Assert.Equal(set.Select(e => e.Address).Except(next.Select(e => e.Address)).Select(a => a.Port).Order(), left.Order());
                foreach (var member in balancer.Endpoints)
                    if (before.TryGetValue(member.Endpoint.Address, out var known)) Assert.Same(known, member);
                for (var i = 0; i < 5 && next.Count > 0; i++) Assert.Equal(PickResult.Picked, balancer.Pick(step, [], out _));
                set = [.. next];
            }
        }

        int NewPort(List<Endpoint> taken)
        {
            while (true)
            {
                var port = random.Next(1, 400);
                if (taken.All(e => e.Address.Port != port)) return port;
            }
        }
    }

    [Fact]
    public void A_choice_allocates_nothing()
    {
        var balancer = Balancer(FailureAccrualParameters.Default);
        balancer.Update(Endpoints(1_000), 0);
        var tried = new BalancedEndpoint<string>[1];
        void Once(long now)
        {
            balancer.Pick(now, [], out var attempt);
            tried[0] = attempt.Endpoint;
            attempt.Answered(now + 3);
            attempt.End(now + 4, AttemptOutcome.Failure);
            balancer.Pick(now, tried, out attempt);
            attempt.End(now + 4, AttemptOutcome.Success);
        }

        for (var i = 0; i < 5_000; i++) Once(i);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++) Once(i);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private P2cBalancer<string> Balancer(FailureAccrualParameters? accrual) => new(
        LoadParameters.Default, accrual,
        e => { _events.Add($"+{e.Address.Port}"); return $"{e.Address.Port}"; },
        v => _events.Add($"-{v}"), new Random(11));

    private PickResult Pick(long now, out Attempt<string> attempt) => _balancer.Pick(now, [], out attempt);

    /// <summary>How often each port is chosen when every request ends before the next begins.</summary>
    private Dictionary<int, int> Count(int picks, long now)
    {
        var counts = new Dictionary<int, int>();
        for (var i = 0; i < picks; i++)
        {
            Assert.Equal(PickResult.Picked, Pick(now, out var attempt));
            counts[Port(attempt)] = counts.GetValueOrDefault(Port(attempt)) + 1;
            attempt.End(now, AttemptOutcome.Unknown);
        }

        return counts;
    }

    private static int Port(Attempt<string> attempt) => attempt.Endpoint.Endpoint.Address.Port;

    private static ImmutableArray<Endpoint> Endpoints(int count) => [.. Enumerable.Range(1, count).Select(port => Endpoint(port))];

    private static Endpoint Endpoint(int port, uint weight = 10_000, string? identity = null) => new(
        new IPEndPoint(IPAddress.Loopback, port), weight, identity is null ? null : new EndpointIdentity(SpiffeId.Parse(identity), "name"), null, ProtocolHint.Http2, null,
        FrozenDictionary<string, string>.Empty);
}
