namespace Mesh.Proxy.Http.Http1;

/// <summary>What a Connection field says about the connection itself (RFC 9110 section 7.6.1).</summary>
[Flags]
internal enum ConnectionOptions : byte
{
    None = 0,
    Close = 1,
    KeepAlive = 2,
    Upgrade = 4,

    /// <summary>Names of fields that end with this connection.</summary>
    Fields = 8,
}

/// <summary>The tokens of a comma-separated list, empty elements left out (RFC 9110 section 5.6.1).</summary>
internal ref struct TokenList(ReadOnlySpan<byte> value)
{
    private ReadOnlySpan<byte> _rest = value;

    public ReadOnlySpan<byte> Current { get; private set; }

    public readonly TokenList GetEnumerator() => this;

    public bool MoveNext()
    {
        while (!_rest.IsEmpty)
        {
            var comma = _rest.IndexOf((byte)',');
            Current = FieldSyntax.Trim(comma < 0 ? _rest : _rest[..comma]);
            _rest = comma < 0 ? default : _rest[(comma + 1)..];
            if (!Current.IsEmpty) return true;
        }

        return false;
    }

    /// <summary>Whether a list has this token, in any case.</summary>
    public static bool Contains(ReadOnlySpan<byte> list, ReadOnlySpan<byte> token)
    {
        foreach (var element in new TokenList(list))
        {
            if (FieldSyntax.EqualsIgnoreCase(element, token)) return true;
        }

        return false;
    }

    /// <summary>Adds the options of one Connection field to <paramref name="options"/>; false when an element is not a token, or there are too many.</summary>
    public static bool TryAddOptions(ReadOnlySpan<byte> value, ref ConnectionOptions options, ref int count)
    {
        foreach (var element in new TokenList(value))
        {
            if (++count > HttpLimits.MaxConnectionOptions) return false;
            if (FieldSyntax.EqualsIgnoreCase(element, "close"u8)) options |= ConnectionOptions.Close;
            else if (FieldSyntax.EqualsIgnoreCase(element, "keep-alive"u8)) options |= ConnectionOptions.KeepAlive;
            else if (FieldSyntax.EqualsIgnoreCase(element, "upgrade"u8)) options |= ConnectionOptions.Upgrade;
            else if (FieldSyntax.IsToken(element)) options |= ConnectionOptions.Fields;
            else return false;
        }

        return true;
    }
}
