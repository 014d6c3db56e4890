namespace Mesh.Proxy.Http.Http2;

/// <summary>
/// Puts HEADERS and its CONTINUATION frames together. A block that comes in one frame, as nearly all do, is not copied. Pieces are bounded in bytes
/// and in number: pieces without bytes cost too, and never ending was an attack.
/// </summary>
internal sealed class FieldBlockAssembly
{
    /// <summary>Frames may be as large as 16 KB, so three hold the largest block; who sends small ones gets this many.</summary>
    public const int MaxContinuations = 32;

    private byte[] _buffer = [];
    private int _length;
    private int _pieces;

    /// <summary>The stream whose block has not ended; 0 for none. <see cref="FrameRules.Check"/> wants to know.</summary>
    public int StreamId { get; private set; }

    /// <summary>The flags of the HEADERS frame that the block began with: END_STREAM is there.</summary>
    public FrameFlags Flags { get; private set; }

    /// <summary>
    /// Takes the fragment of a HEADERS or CONTINUATION frame. <paramref name="block"/> is the whole block when END_HEADERS was there, then
    /// <see cref="StreamId"/> is 0; it is valid until the next call or, when it came in one frame, as long as that frame.
    /// </summary>
    public Http2Fault Add(in FrameHeader frame, ReadOnlySpan<byte> fragment, out ReadOnlySpan<byte> block)
    {
        block = default;
        var ends = frame.Has(FrameFlags.EndHeaders);
        if (frame.Type == FrameType.Headers)
        {
            Flags = frame.Flags;
            _length = 0;
            _pieces = 0;
            if (ends)
            {
                block = fragment;
                return Http2Fault.None;
            }

            StreamId = frame.StreamId;
        }
        else if (++_pieces > MaxContinuations)
        {
            return Http2Fault.TooManyContinuations;
        }

        if (_length + fragment.Length > HttpLimits.MaxFieldBlock) return Http2Fault.FieldBlockTooLarge;
        if (_buffer.Length < _length + fragment.Length) Array.Resize(ref _buffer, Math.Min(HttpLimits.MaxFieldBlock, Math.Max(_buffer.Length * 2, _length + fragment.Length)));
        fragment.CopyTo(_buffer.AsSpan(_length));
        _length += fragment.Length;
        if (!ends) return Http2Fault.None;
        StreamId = 0;
        block = _buffer.AsSpan(0, _length);
        return Http2Fault.None;
    }

    /// <summary>Gives the buffer back to the heap: such blocks are rare, connections live long.</summary>
    public void Trim() => _buffer = [];
}
