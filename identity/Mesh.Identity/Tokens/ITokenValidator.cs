namespace Mesh.Identity.Tokens;

/// <summary>
/// Decides whose ServiceAccount token was presented. Two ways exist: against the issuer's published keys
/// (<see cref="JwksTokenValidator"/>) and by asking the API server (<see cref="TokenReviewValidator"/>).
/// </summary>
public interface ITokenValidator
{
    /// <summary>
    /// Judges one token. A refusal is a verdict, never an exception; the bytes of the token are neither kept nor logged.
    /// </summary>
    /// <param name="token">The token as received, ASCII; up to <see cref="TokenLimits.MaxTokenBytes"/> bytes are looked at.</param>
    /// <param name="ct">Ends the waiting for keys or for the API server with <see cref="OperationCanceledException"/>.</param>
    ValueTask<TokenVerdict> ValidateAsync(ReadOnlyMemory<byte> token, CancellationToken ct);

    /// <summary>
    /// Why no token can be judged at present, as a sentence for <c>/ready</c>; null when tokens can be judged.
    /// </summary>
    string? NotReadyReason { get; }

    /// <summary>Keeps what validation needs fresh until <paramref name="ct"/> is cancelled; the host runs it beside its server and awaits it.</summary>
    Task RunAsync(CancellationToken ct);
}
