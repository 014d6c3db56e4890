using Mesh.Proxy.Native;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Inbound;

/// <summary>A connection of which it is known who makes it: its bytes, in clear where TLS was for us, and the peer.</summary>
/// <param name="Transport">Where the client's bytes are read.</param>
/// <param name="Peer">Who the client is.</param>
/// <param name="HasHeader">The peer promised a transport header.</param>
internal readonly record struct InboundSession(Transport Transport, PeerIdentity Peer, bool HasHeader);
