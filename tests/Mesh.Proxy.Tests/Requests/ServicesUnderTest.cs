using System.Collections.Concurrent;
using System.Collections.Frozen;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Connections;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Endpoint = Mesh.Proxy.Discovery.Endpoint;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>Services with real servers, and a proxy in front of one of them, web.demo:80, that knows its routes.</summary>
internal sealed class ServicesUnderTest : IAsyncDisposable
{
    private readonly TestAuthority _authority = TestAuthority.CreateRoot(change: o => o with { NotBefore = DateTimeOffset.UtcNow.AddDays(-1) });
    private readonly List<WebApplicationUnderTest> _applications = [];

    public static HostPort Web { get; } = HostPort.Parse("web.demo:80");

    /// <summary>What discovery says; to be changed before the proxy is started.</summary>
    public Dictionary<HostPort, EndpointSet> Endpoints { get; } = [];

    /// <summary>Requests that each service has seen.</summary>
    public ConcurrentDictionary<string, int> Served { get; } = new();

    public async ValueTask DisposeAsync()
    {
        foreach (var application in _applications) await application.DisposeAsync();
    }

    public static OutboundPolicy Read(Protocol.Outbound.OutboundPolicy message) => PolicyReader.Read(message, "mesh", out _);

    public static EndpointSet Set(params Endpoint[] endpoints) => new(true, [.. endpoints], FrozenDictionary<string, string>.Empty);

    public async Task ServeAsync(string authority, int version = 1, RequestDelegate? handle = null)
    {
        var application = await WebApplicationUnderTest.StartAsync(version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2, context =>
        {
            Served.AddOrUpdate(authority, 1, (_, count) => count + 1);
            return handle is null ? context.Response.WriteAsync(authority) : handle(context);
        });
        _applications.Add(application);
        Endpoints[HostPort.Parse(authority)] = Set(RunningProxy.Unmeshed(application.Address));
    }

    public Task<RunningProxy> SendAsync(Protocol.Outbound.OutboundPolicy message)
    {
        var policy = Read(message);
        return RunningProxy.SendingAsync(_authority, DestinationLookup.None with
        {
            Resolve = (name, _, _) => ValueTask.FromResult(Endpoints.TryGetValue(name, out var set) ? new Resolution(ResolutionKind.Found, set, false) : new Resolution(ResolutionKind.NotFound, null, false)),
            Policy = (name, _, _) => ValueTask.FromResult(new PolicyResolution(name == Web ? policy : null, false)),
        });
    }
}
