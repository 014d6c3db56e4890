namespace Mesh.Cli.Demo;

/// <summary>What the operator asked of <c>mesh demo</c>.</summary>
/// <param name="Duration">How long to run; null until interrupted.</param>
/// <param name="Directory">Where the state lives; null for a temporary directory that is removed at the end.</param>
/// <param name="Json">Print one object at the end instead of a live view.</param>
/// <param name="Rate">Requests per second of the sample client.</param>
/// <param name="Keep">Leave the state and the logs behind.</param>
internal sealed record DemoOptions(TimeSpan? Duration, string? Directory, bool Json, double Rate, bool Keep);
