using System.Collections.Immutable;

namespace Mesh.Spiffe.Renewal;

/// <summary>What an authority answered to a signing request, not yet judged.</summary>
/// <param name="Certificates">DER, the leaf first, then its issuers; the trust anchor is not among them.</param>
public sealed record IssuedChain(ImmutableArray<ReadOnlyMemory<byte>> Certificates);

/// <summary>Sends a signing request to an authority and brings back its answer. Throws <see cref="SvidExchangeException"/> when there is none.</summary>
/// <param name="request">PKCS#10, DER.</param>
/// <param name="ct">Fires at shutdown and when the exchange has taken too long.</param>
public delegate Task<IssuedChain> SvidExchange(ReadOnlyMemory<byte> request, CancellationToken ct);
