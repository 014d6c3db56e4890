using Mesh.Spiffe;

namespace Mesh.Hosting;

/// <summary>The identity a caller proved with its client certificate; a feature of the connection, absent when none was offered.</summary>
internal sealed record Peer(SpiffeId Id, DateTimeOffset CertificateExpiresAt);
