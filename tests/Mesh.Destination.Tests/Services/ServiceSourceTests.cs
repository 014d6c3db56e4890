using Mesh.Destination.Services;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Destination.Tests.Services;

public sealed class ServiceSourceTests
{
    private static string File(int port) => $$"""{ "services": [ { "authority": "a:1", "endpoints": [ { "address": "127.0.0.1:{{port}}" } ] } ] }""";

    [Fact]
    public async Task Follows_changes_and_keeps_the_last_good_content()
    {
        using var directory = new TemporaryDirectory();
        var path = directory.Write("services.json", File(1));
        using var source = new ServiceSource(path, TimeProvider.System, NullLogger.Instance);
        Assert.Equal(1, source.Current!.EndpointCount);
        var tables = System.Threading.Channels.Channel.CreateUnbounded<ServiceTable>();
        source.Changed += table => tables.Writer.TryWrite(table);
        using var stop = new CancellationTokenSource();
        var running = source.RunAsync(stop.Token);

        directory.Write("services.json", "{ broken");
        directory.Write("next", File(2));
        // Rename over the file, as editors and platforms do.
        System.IO.File.Move(directory.File("next"), path, overwrite: true);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var newest = await tables.Reader.ReadAsync(deadline.Token);
        Assert.Equal(2, newest.Services[0].Endpoints[0].Address.Port);
        Assert.Null(source.Problem);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public void A_missing_file_is_a_problem_that_is_told_and_no_exception()
    {
        using var directory = new TemporaryDirectory();
        using var source = new ServiceSource(directory.File("none.json"), TimeProvider.System, NullLogger.Instance);
        Assert.Null(source.Current);
        Assert.NotNull(source.Problem);
        Assert.Equal(1, source.Refused);
    }
}
