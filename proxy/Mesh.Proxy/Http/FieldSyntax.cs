using System.Buffers;
using System.Runtime.CompilerServices;

namespace Mesh.Proxy.Http;

/// <summary>The characters of RFC 9110 section 5.5 and 5.6.2, in the forms that scan fast.</summary>
internal static class FieldSyntax
{
    private const string TokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// <summary>What ends or spoils a line: every control byte but the tab.</summary>
    public static readonly SearchValues<byte> Controls =
        SearchValues.Create([.. Enumerable.Range(0, 32).Where(c => c != '\t').Select(c => (byte)c), 127]);

    /// <summary>The same with tab and space: no byte of a request target.</summary>
    public static readonly SearchValues<byte> ControlsAndBlanks = SearchValues.Create([.. Enumerable.Range(0, 33).Select(c => (byte)c), 127]);

    public static readonly SearchValues<byte> Token = SearchValues.Create([.. TokenCharacters.Select(c => (byte)c)]);

    /// <summary>A registered name, an address or an address in brackets, and a port; no user information, which ends where parsers disagree.</summary>
    private static readonly SearchValues<byte> _host =
        SearchValues.Create("!$%&'()*+-.0123456789:;=ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~"u8);

    // The lower-case form of a token character; 0 for what is none.
    private static readonly byte[] _lowerToken = LowerToken();

    /// <summary>The lower-case form of a byte of a name; 0 when it cannot be in a name.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte LowerName(byte character) => _lowerToken[character];

    public static bool IsToken(ReadOnlySpan<byte> text) => !text.IsEmpty && !text.ContainsAnyExcept(Token);

    /// <summary>A name as HTTP/2 wants it: a token without capital letters.</summary>
    public static bool IsLowerName(ReadOnlySpan<byte> name)
    {
        foreach (var character in name)
        {
            if (_lowerToken[character] != character || character == 0) return false;
        }

        return !name.IsEmpty;
    }

    /// <summary>No control byte but the tab, and no blank at either end (RFC 9113 section 8.2.1).</summary>
    public static bool IsValue(ReadOnlySpan<byte> value) =>
        value.IsEmpty || (!value.ContainsAny(Controls) && !IsBlank(value[0]) && !IsBlank(value[^1]));

    /// <summary>Without the blanks around it.</summary>
    public static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> value)
    {
        while (!value.IsEmpty && IsBlank(value[0])) value = value[1..];
        while (!value.IsEmpty && IsBlank(value[^1])) value = value[..^1];
        return value;
    }

    /// <summary><c>uri-host [":" port]</c>: brackets only around an address at the start, one port of digits at the end.</summary>
    public static bool IsAuthority(ReadOnlySpan<byte> text) => SplitAuthority(text, out _, out _);

    /// <summary>A host and a port that is not empty, as CONNECT demands.</summary>
    public static bool IsHostAndPort(ReadOnlySpan<byte> text) => SplitAuthority(text, out _, out var port) && !port.IsEmpty;

    /// <summary>A decimal number without sign (1*DIGIT) that fits 63 bits.</summary>
    public static bool TryParseNumber(ReadOnlySpan<byte> digits, out long number)
    {
        number = 0;
        // 18 digits always fit; leading zeros beyond that say nothing that an honest sender wants to say.
        if (digits.Length is 0 or > 18) return false;
        foreach (var digit in digits)
        {
            if ((uint)(digit - '0') > 9) return false;
            number = number * 10 + (digit - '0');
        }

        return true;
    }

    public static bool EqualsIgnoreCase(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right) => System.Text.Ascii.EqualsIgnoreCase(left, right);

    private static bool SplitAuthority(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> host, out ReadOnlySpan<byte> port)
    {
        host = text;
        port = default;
        if (text.IsEmpty || text.ContainsAnyExcept(_host)) return false;
        var end = text[0] == '[' ? text.IndexOf((byte)']') + 1 : text.IndexOf((byte)':');
        if (text[0] == '[' && end < 4) return false;
        if (end < 0) end = text.Length;
        host = text[..end];
        var inside = text[0] == '[' ? host[1..^1] : host;
        if (end == 0 || inside.ContainsAny((byte)'[', (byte)']')) return false;
        if (end == text.Length) return true;
        port = text[(end + 1)..];
        return text[end] == ':' && port.Length <= 5 && !port.ContainsAnyExceptInRange((byte)'0', (byte)'9');
    }

    private static bool IsBlank(byte character) => character is (byte)' ' or (byte)'\t';

    private static byte[] LowerToken()
    {
        var table = new byte[256];
        foreach (var character in TokenCharacters) table[character] = (byte)char.ToLowerInvariant(character);
        return table;
    }
}
