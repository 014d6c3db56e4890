using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Mesh.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Cli.Demo;

/// <summary>The two sample programs of the demo: a web server and its client. Neither knows anything of TLS or of Mesh.</summary>
internal static class WorkloadCommand
{
    public static Command Create()
    {
        var listen = new Argument<string>("address") { Description = "127.0.0.1:PORT to serve HTTP on" };
        var secret = new Option<string>("--secret") { Description = "text that every answer contains", DefaultValueFactory = _ => "" };
        var serve = new Command("serve", "A plain HTTP server.") { listen, secret };
        serve.SetAction((parsed, ct) => WhileStartedAsync(stop => ServeAsync(IPEndPoint.Parse(parsed.GetValue(listen)!), parsed.GetValue(secret)!, stop), ct));

        var url = new Argument<string>("url");
        var rate = new Option<double>("--rate") { Description = "requests per second", DefaultValueFactory = _ => 200 };
        var ask = new Option<string>("--secret") { Description = "text that every request contains", DefaultValueFactory = _ => "" };
        var call = new Command("call", "A plain HTTP client that prints one line a second: requests failed.") { url, rate, ask };
        call.SetAction((parsed, ct) => WhileStartedAsync(stop => CallAsync(parsed.GetValue(url)!, parsed.GetValue(rate), parsed.GetValue(ask)!, TimeProvider.System, stop), ct));
        return new Command("workload", "The sample programs of 'mesh demo', which alone starts them.") { Hidden = true, Subcommands = { serve, call } };
    }

    private static async Task<int> WhileStartedAsync(Func<CancellationToken, Task<int>> work, CancellationToken ct)
    {
        // Not disposed: the watch may call it until the process is gone.
        var stop = new CancellationTokenSource();
        StarterWatch.Begin(stop.Cancel);
        await using var asked = ct.UnsafeRegister(static s => ((CancellationTokenSource)s!).Cancel(), stop);
        return await work(stop.Token);
    }

    private static async Task<int> ServeAsync(IPEndPoint address, string secret, CancellationToken ct)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(address));
        await using var app = builder.Build();
        app.MapGet("/", (HttpContext context) => $"hello from {Environment.ProcessId}, {secret}, you asked {context.Request.Headers["x-demo"]}\n");
        await app.StartAsync(ct);
        await app.WaitForShutdownAsync(ct);
        return ExitCode.Done;
    }

    // Open loop at the given rate over at most 32 connections; a request that is not answered with 200 and the server's text has failed.
    private static async Task<int> CallAsync(string url, double rate, string secret, TimeProvider time, CancellationToken ct)
    {
        using var handler = new SocketsHttpHandler { MaxConnectionsPerServer = 32, ConnectTimeout = TimeSpan.FromSeconds(2), PooledConnectionLifetime = TimeSpan.FromSeconds(2) };
        using var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(5) };
        client.DefaultRequestHeaders.Add("x-demo", secret);
        var target = new Uri(url);
        long done = 0, failed = 0, asked = 0;
        string? why = null;
        var underWay = new List<Task>();

        async Task OneAsync()
        {
            try
            {
                var answer = await client.GetStringAsync(target, ct);
                if (answer.StartsWith("hello from", StringComparison.Ordinal)) Interlocked.Increment(ref done);
                else Interlocked.Increment(ref failed);
            }
            catch (HttpRequestException refused)
            {
                why = refused.Message;
                Interlocked.Increment(ref failed);
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                why = "no answer within 5 s";
                Interlocked.Increment(ref failed);
            }
            catch (OperationCanceledException)
            {
                // The client is stopping: neither done nor failed.
            }
        }

        var started = Stopwatch.GetTimestamp();
        var reported = 0L;
        try
        {
            using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10), time);
            while (await tick.WaitForNextTickAsync(ct))
            {
                var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
                underWay.RemoveAll(t => t.IsCompleted);
                for (; asked < elapsed * rate && underWay.Count < 256; asked++) underWay.Add(OneAsync());
                // What a stalled server made us owe is not made up for in a burst.
                if (underWay.Count >= 256) asked = (long)(elapsed * rate);
                if ((long)elapsed == reported) continue;
                reported = (long)elapsed;
                Print();
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            await Task.WhenAll(underWay);
            Print();
        }

        return ExitCode.Done;

        void Print() => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Interlocked.Read(ref done)} {Interlocked.Read(ref failed)} {why}"));
    }
}
