using Mesh.Spiffe;

namespace Mesh.Proxy.Control;

/// <summary>A call to the control plane that did not end well. Every way a call can fail, other than its caller's cancellation, is one of these.</summary>
internal sealed class GrpcCallException : Exception
{
    public GrpcCallException(GrpcStatusCode code, string message, Exception? inner = null) : base(message, inner) => Code = code;

    public GrpcStatusCode Code { get; }

    /// <summary>Why the server's certificate was refused, when that is what ended the call.</summary>
    public SvidVerdict? RefusedServer { get; init; }
}

/// <summary>Thrown while connecting, when what answered is not the server that was expected.</summary>
internal sealed class ServerRefusedException(SvidVerdict verdict, Exception inner) : IOException(verdict.Sentence, inner)
{
    public SvidVerdict Verdict { get; } = verdict;
}
