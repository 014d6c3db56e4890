using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Mesh.Bench.Pairs;

namespace Mesh.Bench.Http;

/// <summary>
/// Unary gRPC calls with the programs of nghttp2: h2load asks, nghttpd answers a message and <c>grpc-status: 0</c> as trailer, both HTTP/2 in
/// plaintext by prior knowledge. Neither knows gRPC; what crosses the proxies has its shape.
/// </summary>
internal sealed partial class GrpcLoad
{
    private const string Method = "/bench.Echo/Unary";

    // The prefix of a gRPC message (not compressed, 11 bytes follow) and the message.
    private static readonly byte[] Message = [0, 0, 0, 0, 11, .. "hello world"u8];

    private readonly string _documents;

    public GrpcLoad(string directory)
    {
        _documents = Path.Combine(directory, "grpc");
        var answer = _documents + Method;
        Directory.CreateDirectory(Path.GetDirectoryName(answer)!);
        File.WriteAllBytes(answer, Message);
    }

    public async Task<Process> ServeAsync(int port)
    {
        var process = Tool.Start("nghttpd", "--no-tls", "--address", "127.0.0.1", "--htdocs", _documents, "--mime-types-file", "/dev/null", "--trailer", "grpc-status: 0", $"{port}");
        await Tool.WaitForPortAsync(port);
        return process;
    }

    /// <summary>A closed loop of <paramref name="calls"/>, of which the first fifth is not measured.</summary>
    /// <remarks>A number of calls and not a time: with a time, h2load 1.52 is silent about connections that were lost.</remarks>
    public async Task<GrpcResult> MeasureAsync(ProxyPair pair, int connections, int streams, int calls)
    {
        var observed = await Observed.RunAsync(
            pair, "progress: 20% done", "progress: 100% done", "h2load",
            "-t", "1", "-c", $"{connections}", "-m", $"{streams}", "-n", $"{calls}", "-N", "10s", "--connect-to", $"127.0.0.1:{pair.Ports["grpc"]}",
            "-d", _documents + Method, "-H", "content-type: application/grpc", "-H", "te: trailers", "http://grpc.bench.svc.cluster.local" + Method);
        var output = string.Join('\n', observed.Output);
        var answered = Answered().Match(output);
        var mean = MeanTime().Match(output);
        if (!answered.Success || !mean.Success) throw new InvalidOperationException($"{pair.Name}: h2load ended with {output}{observed.Errors}");
        var unit = mean.Groups["unit"].Value switch { "us" => 1, "ms" => 1e3, _ => 1e6 };
        return new GrpcResult(
            observed, calls * 0.8, calls - int.Parse(answered.Groups["ok"].Value, CultureInfo.InvariantCulture), double.Parse(mean.Groups["mean"].Value, CultureInfo.InvariantCulture) * unit);
    }

    [GeneratedRegex(@"^status codes: (?<ok>\d+) 2xx", RegexOptions.Multiline)]
    private static partial Regex Answered();

    // Least, greatest, mean.
    [GeneratedRegex(@"^time for request: +\S+ +\S+ +(?<mean>[\d.]+)(?<unit>us|ms|s) ", RegexOptions.Multiline)]
    private static partial Regex MeanTime();
}

/// <summary>What h2load reported.</summary>
/// <param name="Count">Calls in the measured part.</param>
/// <param name="Failed">Of all, those not answered with 200.</param>
/// <param name="Mean">Time of a call, microseconds.</param>
internal sealed record GrpcResult(Observed Observed, double Count, int Failed, double Mean);
