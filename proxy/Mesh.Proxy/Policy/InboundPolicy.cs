namespace Mesh.Proxy.Policy;

/// <summary>The default inbound policies, with Linkerd's names and meaning: who may connect when nothing more specific is known.</summary>
internal enum InboundPolicy
{
    /// <summary><c>all-unauthenticated</c>: everybody, with or without a mesh identity.</summary>
    AllUnauthenticated = 0,

    /// <summary><c>all-authenticated</c>: peers with a verified identity.</summary>
    AllAuthenticated = 1,

    /// <summary><c>cluster-unauthenticated</c>: everybody whose address is in the cluster networks.</summary>
    ClusterUnauthenticated = 2,

    /// <summary><c>cluster-authenticated</c>: peers with a verified identity whose address is in the cluster networks.</summary>
    ClusterAuthenticated = 3,

    /// <summary><c>deny</c>: nobody.</summary>
    Deny = 4,

    /// <summary><c>audit</c>: everybody, and each connection that <c>deny</c> would have stopped is logged and counted as audited.</summary>
    Audit = 5,
}
