using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>A value exactly, or by a pattern for all of it.</summary>
internal sealed class ValuePattern
{
    private readonly byte[] _exact;
    private readonly BoundedRegex? _regex;

    public ValuePattern(ReadOnlySpan<byte> exact) => _exact = exact.ToArray();

    public ValuePattern(BoundedRegex regex) => (_exact, _regex) = ([], regex);

    public bool IsMatch(ReadOnlySpan<byte> value) => _regex?.IsMatch(value) ?? value.SequenceEqual(_exact);
}

/// <summary>A header field of which one value must match.</summary>
internal sealed class FieldMatch(string name, ValuePattern value)
{
    private readonly byte[] _name = Encoding.ASCII.GetBytes(name.ToLowerInvariant());

    public bool IsMatch(HeaderBlock request)
    {
        var known = FieldNames.Find(_name);
        if (known != FieldName.Other)
        {
            for (var i = request.Find(known); i >= 0; i = request.Find(known, i + 1))
                if (value.IsMatch(request.Value(i))) return true;
            return false;
        }

        for (var i = 0; i < request.Count; i++)
        {
            if (request.Known(i) == FieldName.Other && request[i].Name.SequenceEqual(_name) && value.IsMatch(request.Value(i))) return true;
        }

        return false;
    }
}

/// <summary>A parameter of the query, after its percent signs and pluses have been read. Of several with the name the first counts.</summary>
internal sealed class QueryMatch(string name, ValuePattern value)
{
    private readonly byte[] _name = Encoding.UTF8.GetBytes(name);

    /// <param name="query">What follows the question mark.</param>
    public bool IsMatch(ReadOnlySpan<byte> query)
    {
        // Never longer than what it is read from.
        Span<byte> decoded = stackalloc byte[512];
        while (!query.IsEmpty)
        {
            var end = query.IndexOf((byte)'&');
            var pair = end < 0 ? query : query[..end];
            query = end < 0 ? default : query[(end + 1)..];
            var equals = pair.IndexOf((byte)'=');
            var key = equals < 0 ? pair : pair[..equals];
            if (key.Length > decoded.Length || !Decode(key, decoded).SequenceEqual(_name)) continue;
            var text = equals < 0 ? default : pair[(equals + 1)..];
            // A longer one is nothing that anybody routes by.
            return text.Length <= decoded.Length && value.IsMatch(Decode(text, decoded));
        }

        return false;
    }

    private static ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> text, Span<byte> into)
    {
        var length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var character = text[i];
            if (character == '%' && i + 2 < text.Length && HexDigit(text[i + 1]) is >= 0 and var high && HexDigit(text[i + 2]) is >= 0 and var low)
            {
                character = (byte)(high * 16 + low);
                i += 2;
            }
            else if (character == '+')
            {
                character = (byte)' ';
            }

            into[length++] = character;
        }

        return into[..length];
    }

    private static int HexDigit(byte character) => character switch
    {
        >= (byte)'0' and <= (byte)'9' => character - '0',
        >= (byte)'a' and <= (byte)'f' => character - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => character - 'A' + 10,
        _ => -1,
    };
}
