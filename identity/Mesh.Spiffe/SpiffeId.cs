using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Mesh.Spiffe;

/// <summary>
/// A SPIFFE ID, <c>spiffe://trust-domain/path</c>. One in hand is proof that it is well formed. Characters are judged one by one and
/// never repaired: <see cref="Uri"/> would fold case, remove dot segments and add slashes, and so make two names out of one.
/// </summary>
public sealed record SpiffeId
{
    /// <summary>The longest SPIFFE ID, in bytes (SPIFFE-ID section 2.3).</summary>
    public const int MaxLength = 2048;

    private const string Scheme = "spiffe://";

    internal SpiffeId(TrustDomain trustDomain, string path) => (TrustDomain, Path) = (trustDomain, path);

    public TrustDomain TrustDomain { get; }

    /// <summary>Empty for the trust domain's own ID, else a slash before each segment: <c>/ns/web/sa/api</c>.</summary>
    public string Path { get; }

    /// <summary>True for <c>spiffe://trust-domain</c>: the ID of a signing authority, never of a workload.</summary>
    public bool IsRoot => Path.Length == 0;

    public static bool TryParse(string? text, [NotNullWhen(true)] out SpiffeId? id, out SpiffeIdFault fault)
    {
        id = null;
        if (string.IsNullOrEmpty(text))
        {
            fault = SpiffeIdFault.Empty;
            return false;
        }

        return TryParse(text.AsSpan(), out id, out fault);
    }

    /// <summary>Reads an ID from the bytes of a certificate's URI name; a byte above 127 is a bad character.</summary>
    public static bool TryParse(ReadOnlySpan<byte> ascii, [NotNullWhen(true)] out SpiffeId? id, out SpiffeIdFault fault)
    {
        id = null;
        if (ascii.Length is 0 or > MaxLength)
        {
            fault = ascii.IsEmpty ? SpiffeIdFault.Empty : SpiffeIdFault.TooLong;
            return false;
        }

        Span<char> text = stackalloc char[MaxLength];
        var length = Encoding.Latin1.GetChars(ascii, text);
        return TryParse(text[..length], out id, out fault);
    }

    /// <exception cref="FormatException">The text is not a SPIFFE ID; the message is the fault's sentence.</exception>
    public static SpiffeId Parse(string text) =>
        TryParse(text, out var id, out var fault) ? id : throw new FormatException(fault.Sentence());

    /// <summary>Joins segments to a path. Without segments it is the trust domain's own ID.</summary>
    /// <exception cref="FormatException">A segment is empty, a dot segment or holds a character that a path may not hold, or the whole is too long.</exception>
    public static SpiffeId FromSegments(TrustDomain trustDomain, params ReadOnlySpan<string> segments) =>
        TryFromSegments(trustDomain, segments, out var id, out var fault) ? id : throw new FormatException(fault.Sentence());

    /// <inheritdoc cref="FromSegments"/>
    public static bool TryFromSegments(TrustDomain trustDomain, ReadOnlySpan<string> segments, [NotNullWhen(true)] out SpiffeId? id, out SpiffeIdFault fault)
    {
        id = null;
        var path = new StringBuilder();
        foreach (var segment in segments)
        {
            fault = JudgeSegment(segment);
            if (fault != SpiffeIdFault.None) return false;
            path.Append('/').Append(segment);
        }

        fault = Scheme.Length + trustDomain.Name.Length + path.Length > MaxLength ? SpiffeIdFault.TooLong : SpiffeIdFault.None;
        if (fault != SpiffeIdFault.None) return false;
        id = path.Length == 0 ? trustDomain.Id : new SpiffeId(trustDomain, path.ToString());
        return true;
    }

    /// <summary>The ID of a Kubernetes ServiceAccount: <c>spiffe://trust-domain/ns/namespace/sa/name</c>.</summary>
    /// <exception cref="FormatException">A name that Kubernetes would not allow either.</exception>
    public static SpiffeId ForServiceAccount(TrustDomain trustDomain, string ns, string serviceAccount) =>
        FromSegments(trustDomain, "ns", ns, "sa", serviceAccount);

    /// <summary>Takes the names back out of an ID that <see cref="ForServiceAccount"/> made; false for any other path.</summary>
    public bool TryGetServiceAccount([NotNullWhen(true)] out string? ns, [NotNullWhen(true)] out string? serviceAccount)
    {
        ns = serviceAccount = null;
        var path = Path.AsSpan();
        Span<Range> parts = stackalloc Range[6];
        if (path.Split(parts, '/') != 5) return false;
        if (path[parts[1]] is not "ns" || path[parts[3]] is not "sa") return false;
        ns = path[parts[2]].ToString();
        serviceAccount = path[parts[4]].ToString();
        return true;
    }

    public bool Equals(SpiffeId? other) =>
        other is not null && string.Equals(Path, other.Path, StringComparison.Ordinal) && TrustDomain.Equals(other.TrustDomain);

    public override int GetHashCode() => HashCode.Combine(TrustDomain.GetHashCode(), Path.GetHashCode(StringComparison.Ordinal));

    /// <summary>The URI.</summary>
    public override string ToString() => string.Concat(Scheme, TrustDomain.Name, Path);

    private static bool TryParse(ReadOnlySpan<char> text, [NotNullWhen(true)] out SpiffeId? id, out SpiffeIdFault fault)
    {
        id = null;
        if (text.Length > MaxLength)
        {
            fault = SpiffeIdFault.TooLong;
            return false;
        }

        if (!text.StartsWith(Scheme, StringComparison.Ordinal))
        {
            fault = SpiffeIdFault.WrongScheme;
            return false;
        }

        var rest = text[Scheme.Length..];
        var slash = rest.IndexOf('/');
        var name = slash < 0 ? rest : rest[..slash];
        var path = slash < 0 ? [] : rest[slash..];
        fault = TrustDomain.Judge(name);
        if (fault == SpiffeIdFault.None) fault = JudgePath(path);
        if (fault != SpiffeIdFault.None) return false;

        var trustDomain = new TrustDomain(name.ToString());
        id = path.IsEmpty ? trustDomain.Id : new SpiffeId(trustDomain, path.ToString());
        return true;
    }

    private static SpiffeIdFault JudgePath(ReadOnlySpan<char> path)
    {
        while (!path.IsEmpty)
        {
            path = path[1..];
            if (path.IsEmpty) return SpiffeIdFault.TrailingSlash;
            var slash = path.IndexOf('/');
            var segment = slash < 0 ? path : path[..slash];
            var fault = JudgeSegment(segment);
            if (fault != SpiffeIdFault.None) return fault;
            path = path[segment.Length..];
        }

        return SpiffeIdFault.None;
    }

    private static SpiffeIdFault JudgeSegment(ReadOnlySpan<char> segment)
    {
        if (segment.IsEmpty) return SpiffeIdFault.EmptySegment;
        if (segment is "." or "..") return SpiffeIdFault.DotSegment;
        foreach (var c in segment)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '-' or '_')) return SpiffeIdFault.BadPathCharacter;
        }

        return SpiffeIdFault.None;
    }
}
