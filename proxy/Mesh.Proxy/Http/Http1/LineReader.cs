using System.Buffers;

namespace Mesh.Proxy.Http.Http1;

internal enum LineStatus : byte
{
    Line = 0,
    NeedMore = 1,
    TooLong = 2,
    Refused = 3,
}

/// <summary>
/// Cuts lines off a stream and refuses what could be read in two ways: only CR LF ends a line, and no other control byte but the tab is in one.
/// Remembers how far it has looked, so that a line that comes byte by byte is looked at once.
/// </summary>
internal struct LineReader
{
    private int _scanned;

    public Http1Fault Fault { get; private set; }

    /// <summary>
    /// Takes the line that <paramref name="input"/> begins with. After <see cref="LineStatus.NeedMore"/> the next input must begin with the same
    /// bytes. <paramref name="limit"/> is the longest line with its CRLF.
    /// </summary>
    public LineStatus Next(ReadOnlySpan<byte> input, int limit, out ReadOnlySpan<byte> line)
    {
        line = default;
        var found = input[_scanned..].IndexOfAny(FieldSyntax.Controls);
        if (found < 0)
        {
            _scanned = input.Length;
            // A line of the longest length needs two more bytes, which are not here.
            return input.Length > limit - 2 ? LineStatus.TooLong : LineStatus.NeedMore;
        }

        var at = _scanned + found;
        if (at > limit - 2) return LineStatus.TooLong;
        if (input[at] != '\r') return Refuse(input[at] == '\n' ? Http1Fault.BareLineFeed : Http1Fault.ControlByte);
        if (at + 1 == input.Length)
        {
            _scanned = at;
            return LineStatus.NeedMore;
        }

        if (input[at + 1] != '\n') return Refuse(Http1Fault.BareCarriageReturn);
        _scanned = 0;
        line = input[..at];
        return LineStatus.Line;
    }

    private LineStatus Refuse(Http1Fault fault)
    {
        Fault = fault;
        return LineStatus.Refused;
    }
}
