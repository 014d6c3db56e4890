using System.Text;
using System.Text.RegularExpressions;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>
/// A regular expression for the whole of a value, whose time grows with the value's length and with nothing else: it never goes back. What needs going
/// back (references, looking around) is no pattern here. Bytes are read as Latin-1.
/// </summary>
internal sealed class BoundedRegex
{
    /// <summary>Longest pattern, in characters.</summary>
    public const int MaxPattern = 512;

    // The product of all counts: a{1000} is a thousand states, and (a{100}){100} ten thousand.
    private const long MaxRepetitions = 1_000;

    // Any value that HTTP lets in fits.
    [ThreadStatic]
    private static char[]? _characters;

    private readonly Regex _regex;

    private BoundedRegex(Regex regex) => _regex = regex;

    /// <summary>Null when it is no pattern, needs going back, or is too large.</summary>
    public static BoundedRegex? Create(string pattern)
    {
        if (pattern.Length > MaxPattern || Repetitions(pattern) > MaxRepetitions) return null;
        try
        {
            // By itself first: a parenthesis too many must not close ours.
            _ = new Regex(pattern, RegexOptions.CultureInvariant);
            return new BoundedRegex(new Regex($@"\A(?:{pattern})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant));
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return null;
        }
    }

    public bool IsMatch(ReadOnlySpan<byte> value)
    {
        var characters = _characters ??= new char[HttpLimits.MaxFieldList];
        if (value.Length > characters.Length) return false;
        var length = Encoding.Latin1.GetChars(value, characters);
        return _regex.IsMatch(characters.AsSpan(0, length));
    }

    public override string ToString() => _regex.ToString();

    private static long Repetitions(string pattern)
    {
        var product = 1L;
        for (var i = 0; i < pattern.Length; i++)
        {
            if (pattern[i] != '{') continue;
            long number = 0, largest = 1;
            while (++i < pattern.Length && (char.IsAsciiDigit(pattern[i]) || pattern[i] == ','))
            {
                number = pattern[i] == ',' ? 0 : number * 10 + (pattern[i] - '0');
                largest = Math.Max(largest, number);
                if (largest > MaxRepetitions) return largest;
            }

            product *= largest;
            if (product > MaxRepetitions) return product;
        }

        return product;
    }
}
