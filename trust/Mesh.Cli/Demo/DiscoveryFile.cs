using System.Net;
using System.Text.Json;
using Mesh.Spiffe;
using Mesh.Spiffe.Files;

namespace Mesh.Cli.Demo;

/// <summary>A service of the discovery file and the addresses behind it.</summary>
internal sealed record DiscoveryEntry(string Authority, IReadOnlyList<DiscoveryAddress> Addresses);

/// <summary>One endpoint: the application's address, the port of the proxy in front of it, and who it must prove to be.</summary>
internal sealed record DiscoveryAddress(IPEndPoint Application, int InboundPort, SpiffeId Identity, string ServerName);

/// <summary>Writes the file that the destination service watches.</summary>
internal static class DiscoveryFile
{
    public static void Write(string path, IReadOnlyCollection<DiscoveryEntry> services) => PrivateFile.WritePublic(path, JsonSerializer.SerializeToUtf8Bytes(new
    {
        services = services.Select(service => new
        {
            authority = service.Authority,
            endpoints = service.Addresses.Select(address => new
            {
                address = address.Application.ToString(),
                identity = address.Identity.ToString(),
                serverName = address.ServerName,
                inboundPort = address.InboundPort,
            }),
        }),
    }));
}
