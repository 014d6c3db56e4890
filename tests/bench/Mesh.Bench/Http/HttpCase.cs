using Mesh.Bench.Pairs;

namespace Mesh.Bench.Http;

/// <summary>One thing that is measured of every pair.</summary>
/// <param name="Name">For <c>--only</c>, and before its figures.</param>
/// <param name="Peers">Which peers it is measured of as well.</param>
/// <param name="MeasureAsync">Measures a pair once.</param>
internal sealed record HttpCase(string Name, IReadOnlyList<string> Peers, Func<HttpRun, Task> MeasureAsync)
{
    /// <summary>The pair is started for this alone, since what it holds in memory depends on what it has done before.</summary>
    public bool Fresh { get; init; }

    /// <summary>The figure of which ours over a peer's is held to a bar.</summary>
    public (string Figure, string Peer, string Bar)? Ratio { get; init; }
}

/// <summary>One case on one pair in one round.</summary>
internal sealed record HttpRun(HttpCase Case, ProxyPair Pair, Load Load, GrpcLoad Grpc, Rounds Results, Report Report)
{
    public void Add(string figure, string unit, double value, string? bar = null) => Results.Add(Pair.Name, $"{Case.Name}: {figure}", unit, value, bar);

    /// <summary>Runs the HTTP/1.1 client. A single request that failed spoils the benchmark.</summary>
    public async Task<LoadResult> LoadAsync(string kind, params string[] arguments)
    {
        var result = await Load.MeasureAsync(Pair, kind, "h1", arguments);
        CountFailed(result["failed"], result.Observed);
        return result;
    }

    public void CountFailed(double failed, Observed observed)
    {
        if (failed > 0) Report.Fail($"{Case.Name}, {Pair.Name}: {failed} requests failed. {observed.Errors.Trim().ReplaceLineEndings("; ")}");
    }
}
