using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Net;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Tests.Connections;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Endpoint = Mesh.Proxy.Discovery.Endpoint;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>Which endpoints requests go to, over real sockets.</summary>
public sealed class BalancingTests : IAsyncDisposable
{
    private static readonly IPEndPoint Nobody = new(IPAddress.Loopback, 1);

    private readonly TestAuthority _authority = TestAuthority.CreateRoot(change: o => o with { NotBefore = DateTimeOffset.UtcNow.AddDays(-1) });
    private readonly List<WebApplicationUnderTest> _applications = [];
    private readonly ConcurrentDictionary<string, int> _served = new();

    public async ValueTask DisposeAsync()
    {
        foreach (var application in _applications) await application.DisposeAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_dead_endpoint_costs_no_request(int version)
    {
        var alive = await ApplicationAsync("a", version: version);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: [RunningProxy.Unmeshed(Nobody), alive]);
        using var client = ClientOf.Proxy(sending, version);
        for (var i = 0; i < 50; i++) Assert.Equal("a", await client.GetStringAsync("/"));
    }

    [Fact]
    public async Task A_slow_endpoint_gets_less()
    {
        using var arrived = new SemaphoreSlim(0);
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var fast = await ApplicationAsync("fast");
        var slow = await ApplicationAsync("slow", async () =>
        {
            arrived.Release();
            await answer.Task;
        });
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: [fast, slow]);
        using var client = ClientOf.Proxy(sending);
        var waiting = new List<Task<string>>();
        var atSlow = arrived.WaitAsync(TestClient.Limit);
        for (var i = 0; i < 60; i++)
        {
            // Each is answered, or waits at the slow one before the next is sent.
            var request = client.GetStringAsync("/");
            if (await Task.WhenAny(request, atSlow) == request)
            {
                Assert.Equal("fast", await request);
                continue;
            }

            waiting.Add(request);
            atSlow = arrived.WaitAsync(TestClient.Limit);
        }

        answer.SetResult();
        Assert.All(await Task.WhenAll(waiting), answered => Assert.True(answered is "slow" or "fast"));
        Assert.InRange(_served["slow"], 1, 29);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task No_request_is_lost_when_endpoints_come_and_go(int version)
    {
        Endpoint[] all = [await ApplicationAsync("a", version: version), await ApplicationAsync("b", version: version), await ApplicationAsync("c", version: version)];
        EndpointSet[] sets = [.. Enumerable.Range(0, 3).Select(i => new EndpointSet(true, [all[i], all[(i + 1) % 3]], FrozenDictionary<string, string>.Empty))];
        var requests = 0;
        // Another set with every tenth request, while others are under way.
        EndpointSet Current() => sets[Volatile.Read(ref requests) / 10 % 3];
        var lookup = RunningProxy.Fixed(all[0]) with
        {
            Resolve = (_, _, _) => ValueTask.FromResult(new Resolution(ResolutionKind.Found, Current(), false)),
            Known = _ => Current(),
        };
        await using var sending = await RunningProxy.SendingAsync(_authority, lookup);
        using var client = ClientOf.Proxy(sending, version);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
        {
            for (var i = 0; i < 50; i++)
            {
                Interlocked.Increment(ref requests);
                using var content = new StringContent("body");
                using var response = await client.PostAsync("/", content);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            }
        }));
        Assert.Equal((3, 800), (_served.Count, _served.Values.Sum()));
    }

    [Fact]
    public async Task Requests_are_shared_by_weight()
    {
        var heavy = await ApplicationAsync("heavy");
        var light = await ApplicationAsync("light");
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: [heavy with { Weight = 90_000 }, light with { Weight = 10_000 }]);
        using var client = ClientOf.Proxy(sending);
        await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => client.GetStringAsync("/")));
        Assert.True(_served["heavy"] > _served["light"]);
    }

    private async Task<Endpoint> ApplicationAsync(string name, Func<Task>? before = null, int version = 1)
    {
        var application = await WebApplicationUnderTest.StartAsync(version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2, async context =>
        {
            _served.AddOrUpdate(name, 1, (_, count) => count + 1);
            await context.Request.Body.CopyToAsync(Stream.Null);
            if (before is not null) await before();
            await context.Response.WriteAsync(name);
        });
        _applications.Add(application);
        return RunningProxy.Unmeshed(application.Address);
    }
}
