using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Mesh.Spiffe;

/// <summary>Where a verifier finds the bundle of the peer's trust domain. Bundles of different domains are never merged (SPIFFE Federation 4.2).</summary>
public interface ITrustBundleSource
{
    /// <summary>The bundle in force now, or null when that trust domain is not known here; then nobody of it is trusted.</summary>
    TrustBundle? Find(TrustDomain trustDomain);
}

/// <summary>A fixed set of bundles, at most one for each trust domain.</summary>
public sealed class TrustBundleSet : ITrustBundleSource
{
    private readonly FrozenDictionary<TrustDomain, TrustBundle> _bundles;

    /// <exception cref="ArgumentException">Two bundles of one trust domain.</exception>
    public TrustBundleSet(params IEnumerable<TrustBundle> bundles)
    {
        All = [.. bundles];
        _bundles = All.ToFrozenDictionary(b => b.TrustDomain);
        if (_bundles.Count != All.Length) throw new ArgumentException("A trust domain has more than one bundle in the set.", nameof(bundles));
    }

    /// <summary>No bundle at all: nobody is trusted.</summary>
    public static TrustBundleSet Empty { get; } = new([]);

    public ImmutableArray<TrustBundle> All { get; }

    public TrustBundle? Find(TrustDomain trustDomain) => _bundles.GetValueOrDefault(trustDomain);

    /// <summary>Reads a SPIFFE Bundle Map (SPIFFE Trust Domain and Bundle, section 5.1): all of it or nothing. Refresh hints inside are dropped.</summary>
    public static bool TryParseJson(string json, [NotNullWhen(true)] out TrustBundleSet? set, out TrustBundleFault fault)
    {
        fault = BundleDocument.ReadMap(Encoding.UTF8.GetBytes(json), out var bundles);
        set = fault == TrustBundleFault.None ? new TrustBundleSet(bundles) : null;
        return set is not null;
    }

    /// <summary>The SPIFFE Bundle Map of the set.</summary>
    public string ToJson() => BundleDocument.WriteMap(All);
}
