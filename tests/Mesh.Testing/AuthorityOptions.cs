using System.Security.Cryptography.X509Certificates;

namespace Mesh.Testing;

/// <summary>The kinds of keys that test certificates come with.</summary>
public enum TestKey
{
    P256,
    P384,
    P521,
    Rsa2048,
}

/// <summary>What a test changes about a CA: <c>o => o with { PathLength = 0 }</c>.</summary>
public sealed record AuthorityOptions
{
    public string Subject { get; init; } = "";
    public TestKey Key { get; init; } = TestKey.P256;

    /// <summary>Null: one hour before the clock.</summary>
    public DateTimeOffset? NotBefore { get; init; }

    /// <summary>Null: ten years after the clock.</summary>
    public DateTimeOffset? NotAfter { get; init; }

    public bool IsCa { get; init; } = true;
    public int? PathLength { get; init; }

    /// <summary>Null leaves the extension out.</summary>
    public X509KeyUsageFlags? KeyUsages { get; init; } = X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign;

    /// <summary>Null: the bare ID of the trust domain; empty: no alternative name.</summary>
    public IReadOnlyList<string>? UriNames { get; init; }

    public IReadOnlyList<string> DnsNames { get; init; } = [];

    /// <summary>Dotted object identifiers; empty leaves the extension out.</summary>
    public IReadOnlyList<string> ExtendedKeyUsages { get; init; } = [];

    public IReadOnlyList<X509Extension> Extensions { get; init; } = [];
    public bool WithKeyIds { get; init; } = true;
}

/// <summary>What a test changes about a leaf. The defaults make a valid SVID; everything can be made wrong.</summary>
public sealed record LeafOptions
{
    public const string ServerAuth = "1.3.6.1.5.5.7.3.1";
    public const string ClientAuth = "1.3.6.1.5.5.7.3.2";

    public string Subject { get; init; } = "";
    public TestKey Key { get; init; } = TestKey.P256;

    /// <summary>Null: one minute before the clock.</summary>
    public DateTimeOffset? NotBefore { get; init; }

    /// <summary>Null: one hour after the clock.</summary>
    public DateTimeOffset? NotAfter { get; init; }

    /// <summary>Null: the ID that was asked for.</summary>
    public IReadOnlyList<string>? UriNames { get; init; }

    public IReadOnlyList<string> DnsNames { get; init; } = [];

    /// <summary>Null: critical exactly when the subject is empty.</summary>
    public bool? NamesAreCritical { get; init; }

    /// <summary>Null leaves basicConstraints out.</summary>
    public bool? IsCa { get; init; } = false;

    /// <summary>Null leaves the extension out.</summary>
    public X509KeyUsageFlags? KeyUsages { get; init; } = X509KeyUsageFlags.DigitalSignature;

    public bool KeyUsagesAreCritical { get; init; } = true;

    /// <summary>Dotted object identifiers; empty leaves the extension out.</summary>
    public IReadOnlyList<string> ExtendedKeyUsages { get; init; } = [ServerAuth, ClientAuth];

    public IReadOnlyList<X509Extension> Extensions { get; init; } = [];
    public bool WithKeyIds { get; init; } = true;

    /// <summary>Flips a bit of the signature.</summary>
    public bool BreakSignature { get; init; }
}
