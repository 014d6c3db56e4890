namespace Mesh.Proxy.Http.Http1;

internal enum HeadStatus : byte
{
    /// <summary>Call again when more bytes are there, with the bytes that were not consumed in front.</summary>
    NeedMore = 0,
    Complete = 1,
    Refused = 2,
}

/// <summary>Reads heads, one after the other: a first line, fields, and what they say together. Requests and responses differ in the first and the last.</summary>
internal abstract class HeadParser
{
    private LineReader _firstLine;
    private FieldLines _fields;
    private Stage _stage;
    private bool _skippedEmptyLine;

    protected HeadParser() => Reset();

    private enum Stage : byte
    {
        FirstLine,
        Fields,
        Done,
    }

    /// <summary>Why the last call refused.</summary>
    public Http1Fault Fault { get; private set; }

    /// <summary>Whether the first line has been read: a connection that ends before that was idle, one that ends after it breaks off.</summary>
    public bool HasStarted => _stage != Stage.FirstLine;

    /// <summary>Old clients end a body with a line end that belongs to nothing (section 2.2): one empty line may come before the first.</summary>
    protected abstract bool MaySkipEmptyLine { get; }

    protected abstract Http1Fault FirstLineTooLong { get; }

    /// <summary>Gets ready for the next head.</summary>
    public void Reset()
    {
        _firstLine = default;
        _fields = new FieldLines(HttpLimits.MaxHead, Http1Fault.HeadTooLong);
        _stage = Stage.FirstLine;
        _skippedEmptyLine = false;
        Fault = Http1Fault.None;
    }

    /// <summary>
    /// Takes whole lines from <paramref name="input"/>; <paramref name="consumed"/> bytes of it are done with, whatever the answer. The rest must come
    /// first in the next call. <paramref name="block"/> must be empty at the first call for a head.
    /// </summary>
    protected HeadStatus Read(ReadOnlySpan<byte> input, HeaderBlock block, out int consumed)
    {
        consumed = 0;
        while (_stage == Stage.FirstLine)
        {
            var status = _firstLine.Next(input[consumed..], HttpLimits.MaxRequestLine, out var line);
            if (status == LineStatus.NeedMore) return HeadStatus.NeedMore;
            if (status != LineStatus.Line) return Refuse(status == LineStatus.TooLong ? FirstLineTooLong : _firstLine.Fault);
            consumed += line.Length + 2;
            if (line.IsEmpty && MaySkipEmptyLine && !_skippedEmptyLine)
            {
                _skippedEmptyLine = true;
                continue;
            }

            _fields.Count(line.Length + 2);
            if (ReadFirstLine(line, block) is var wrong and not Http1Fault.None) return Refuse(wrong);
            _stage = Stage.Fields;
        }

        if (_stage == Stage.Done) throw new InvalidOperationException("The head is complete; the parser must be reset before the next.");
        var read = _fields.Read(input[consumed..], block, out var more);
        consumed += more;
        if (read == HeadStatus.NeedMore) return read;
        if (read == HeadStatus.Refused) return Refuse(_fields.Fault);
        _stage = Stage.Done;
        return Conclude(block) is var fault and not Http1Fault.None ? Refuse(fault) : HeadStatus.Complete;
    }

    protected abstract Http1Fault ReadFirstLine(ReadOnlySpan<byte> line, HeaderBlock block);

    /// <summary>All fields are there: what the message is, or what is wrong with it.</summary>
    protected abstract Http1Fault Conclude(HeaderBlock block);

    private HeadStatus Refuse(Http1Fault fault)
    {
        Fault = fault;
        return HeadStatus.Refused;
    }
}
