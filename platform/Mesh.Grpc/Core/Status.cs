namespace Grpc.Core;

/// <summary>How a call ended: the code, a sentence for the caller, and (never sent) the exception behind it.</summary>
public readonly record struct Status(StatusCode StatusCode, string Detail, Exception? DebugException = null)
{
    public static readonly Status DefaultSuccess = new(StatusCode.OK, "");
    public static readonly Status DefaultCancelled = new(StatusCode.Cancelled, "");

    // default(Status) has no sentence; callers see an empty one.
    public string Detail { get => field ?? ""; } = Detail;

    public override string ToString() => $"Status(StatusCode=\"{StatusCode}\", Detail=\"{Detail}\")";
}
