namespace Mesh.Proxy.Exchanges;

/// <summary>How long an exchange may take, and how much of it is kept. Milliseconds; 0: no limit.</summary>
/// <param name="Request">From the request's head to the end of the response, with all tries.</param>
/// <param name="Response">From the end of the request to the end of the response.</param>
/// <param name="Idle">Without a byte in either direction, once a server has the request.</param>
/// <param name="Attempt">For each try, until the head of the response.</param>
/// <param name="Replay">Bytes of the body that are kept for another try; 0: <see cref="Exchange.MaxReplay"/>.</param>
internal readonly record struct ExchangeLimits(long Request, long Response, long Idle, long Attempt, int Replay);
