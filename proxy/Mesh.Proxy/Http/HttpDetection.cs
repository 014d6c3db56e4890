using System.Buffers;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Http;

internal enum DetectedProtocol : byte
{
    /// <summary>What has come may still become HTTP.</summary>
    NeedMore = 0,

    /// <summary>A request line, well formed or not: whether it is acceptable is for the parser to say, not for a detour around it.</summary>
    Http1 = 1,

    /// <summary>The preface of RFC 9113 section 3.4.</summary>
    Http2 = 2,

    /// <summary>Something that no HTTP client sends first.</summary>
    Other = 3,
}

/// <summary>Tells HTTP from other protocols by what a client sends first.</summary>
internal static class HttpDetection
{
    /// <summary>A line that is longer without an end, and began as a request does, is one. Enough to peek at.</summary>
    public const int MaxLength = 1024;

    private const int LongestMethod = 32;

    private static readonly SearchValues<byte> _usualMethod = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"u8);

    public static DetectedProtocol Look(ReadOnlySpan<byte> first)
    {
        var preface = FrameHeader.Preface;
        if (first.StartsWith(preface)) return DetectedProtocol.Http2;
        if (first.Length < preface.Length && preface.StartsWith(first)) return DetectedProtocol.NeedMore;

        var method = first.IndexOfAnyExcept(FieldSyntax.Token);
        // A method that comes in pieces is one of the usual kind; to wait for the rest of every word would hold up other protocols until the time is over.
        if (method < 0) return first.Length <= LongestMethod && !first.ContainsAnyExcept(_usualMethod) ? DetectedProtocol.NeedMore : DetectedProtocol.Other;
        if (method is 0 or > LongestMethod || first[method] != ' ') return DetectedProtocol.Other;

        var rest = first[(method + 1)..];
        var end = rest.IndexOfAny(FieldSyntax.Controls);
        if (end < 0) return first.Length < MaxLength ? DetectedProtocol.NeedMore : DetectedProtocol.Http1;
        return rest[end] is (byte)'\r' or (byte)'\n' && rest[..end].IndexOf(" HTTP/"u8) >= 0 ? DetectedProtocol.Http1 : DetectedProtocol.Other;
    }
}
