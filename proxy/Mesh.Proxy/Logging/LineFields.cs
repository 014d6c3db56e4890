namespace Mesh.Proxy.Logging;

/// <summary>Takes the named values of one line, in one of the formats, into buffers that are kept for the next.</summary>
internal abstract class LineFields
{
    /// <summary>Longest value; a longer one is cut and ends in three dots.</summary>
    protected const int LongestValue = 1024;

    /// <summary>Begins a line of the log with what every line has.</summary>
    public abstract void Begin(ReadOnlySpan<char> timestamp, string level, int id, string sentence);

    public abstract void Text(string key, ReadOnlySpan<char> value);

    /// <summary>A value as it came from the network: everything but printable ASCII is shown as <c>\xHH</c>.</summary>
    public void Bytes(string key, ReadOnlySpan<byte> value)
    {
        Span<char> shown = stackalloc char[LongestValue + 3];
        var length = 0;
        foreach (var b in value)
        {
            if (length > LongestValue - 4)
            {
                "...".CopyTo(shown[length..]);
                length += 3;
                break;
            }

            if (b is >= 0x20 and < 0x7f) shown[length++] = (char)b;
            else length += Escape(b, shown[length..]);
        }

        Text(key, shown[..length]);
    }

    public abstract void Number(string key, long value);

    public abstract void Number(string key, double value);

    public abstract void Truth(string key, bool value);

    /// <summary>Ends the line, and gives it.</summary>
    public abstract string End();

    private static int Escape(byte value, Span<char> to)
    {
        const string digits = "0123456789abcdef";
        (to[0], to[1], to[2], to[3]) = ('\\', 'x', digits[value >> 4], digits[value & 15]);
        return 4;
    }
}

/// <summary>Something that a line of the log can be made of without a value being boxed.</summary>
internal interface ILineItem
{
    void WriteTo(LineFields line);
}
