using System.Diagnostics.CodeAnalysis;

namespace Mesh.Identity.Tokens;

/// <summary>
/// The workload a token speaks for: a Kubernetes ServiceAccount and, when the token is bound to one, its pod and node.
/// The names are checked: the namespace is a DNS label, the account a DNS subdomain (dots are legal).
/// </summary>
public sealed record ServiceAccount
{
    private const string SubjectPrefix = "system:serviceaccount:";

    private ServiceAccount(string ns, string name) => (Namespace, Name) = (ns, name);

    public string Namespace { get; }
    public string Name { get; }
    public string? Uid { get; private init; }
    public string? PodName { get; private init; }
    public string? PodUid { get; private init; }
    public string? NodeName { get; private init; }

    /// <summary>The user name Kubernetes gives the account: <c>system:serviceaccount:NAMESPACE:NAME</c>.</summary>
    public string Subject => $"{SubjectPrefix}{Namespace}:{Name}";

    /// <summary>Reads <c>system:serviceaccount:NAMESPACE:NAME</c>; false for users, nodes and names Kubernetes would not allow.</summary>
    public static bool TryParseSubject(string? subject, [NotNullWhen(true)] out ServiceAccount? account)
    {
        account = null;
        if (subject is null || !subject.StartsWith(SubjectPrefix, StringComparison.Ordinal)) return false;
        var rest = subject.AsSpan(SubjectPrefix.Length);
        var colon = rest.IndexOf(':');
        if (colon < 0 || !IsDnsLabel(rest[..colon]) || !IsDnsSubdomain(rest[(colon + 1)..])) return false;
        account = new ServiceAccount(rest[..colon].ToString(), rest[(colon + 1)..].ToString());
        return true;
    }

    /// <summary>The same account with what else the token says. Values that are no Kubernetes names or uids are dropped: they are for logs only.</summary>
    internal ServiceAccount With(string? uid, string? podName, string? podUid, string? nodeName) => this with
    {
        Uid = Printable(uid),
        PodName = Printable(podName),
        PodUid = Printable(podUid),
        NodeName = Printable(nodeName),
    };

    public override string ToString() => Subject;

    private static string? Printable(string? value) => value is { Length: > 0 and <= 253 } && IsDnsSubdomain(value) ? value : null;

    // RFC 1123 label, as Kubernetes applies it to namespaces.
    private static bool IsDnsLabel(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > 63 || text[0] == '-' || text[^1] == '-') return false;
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c != '-') return false;
        }

        return true;
    }

    // RFC 1123 subdomain as Kubernetes applies it to ServiceAccounts: up to 253 characters, labels of any length between dots.
    private static bool IsDnsSubdomain(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > 253) return false;
        var previous = '.';
        foreach (var c in text)
        {
            var alphanumeric = char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c);
            if (!alphanumeric && c is not ('-' or '.')) return false;
            if (previous == '.' && !alphanumeric) return false;
            if (previous == '-' && c == '.') return false;
            previous = c;
        }

        return previous is not ('-' or '.');
    }
}
