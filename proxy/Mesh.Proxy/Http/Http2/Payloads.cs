using System.Buffers.Binary;

namespace Mesh.Proxy.Http.Http2;

/// <summary>Reads payloads whose frame header <see cref="FrameRules"/> has let through.</summary>
internal static class Payloads
{
    /// <summary>The fragment of the field block in a HEADERS frame (RFC 9113 section 6.2). Its priority is looked at for one fault and forgotten.</summary>
    public static Http2Fault ReadHeaders(in FrameHeader frame, ReadOnlySpan<byte> payload, out ReadOnlySpan<byte> fragment)
    {
        fragment = default;
        var padding = 0;
        if (frame.Has(FrameFlags.Padded))
        {
            if (payload.IsEmpty) return Http2Fault.FrameSizeWrong;
            padding = payload[0];
            payload = payload[1..];
        }

        var dependsOnItself = false;
        if (frame.Has(FrameFlags.Priority))
        {
            if (payload.Length < 5) return Http2Fault.FrameSizeWrong;
            dependsOnItself = ReadPriority(frame, payload) != Http2Fault.None;
            payload = payload[5..];
        }

        if (padding > payload.Length) return Http2Fault.PaddingTooLong;
        // The block must be decoded all the same, or the tables no longer agree.
        fragment = payload[..^padding];
        return dependsOnItself ? Http2Fault.PriorityOnItself : Http2Fault.None;
    }

    /// <summary>Priorities are ignored (section 5.3.2); what RFC 7540 section 5.3.1 calls an error still is one.</summary>
    public static Http2Fault ReadPriority(in FrameHeader frame, ReadOnlySpan<byte> payload) =>
        (BinaryPrimitives.ReadUInt32BigEndian(payload) & int.MaxValue) == (uint)frame.StreamId ? Http2Fault.PriorityOnItself : Http2Fault.None;

    public static Http2ErrorCode ReadRstStream(ReadOnlySpan<byte> payload) => (Http2ErrorCode)BinaryPrimitives.ReadUInt32BigEndian(payload);

    /// <summary>The increment, 1 to 2^31-1 (section 6.9).</summary>
    public static Http2Fault ReadWindowUpdate(in FrameHeader frame, ReadOnlySpan<byte> payload, out int increment)
    {
        increment = (int)(BinaryPrimitives.ReadUInt32BigEndian(payload) & int.MaxValue);
        if (increment > 0) return Http2Fault.None;
        return frame.StreamId == 0 ? Http2Fault.ConnectionWindowIncrementZero : Http2Fault.StreamWindowIncrementZero;
    }

    /// <summary>The last stream the peer has worked on or will work on, and why it goes (section 6.8).</summary>
    public static (int LastStreamId, Http2ErrorCode Code) ReadGoAway(ReadOnlySpan<byte> payload) =>
        ((int)(BinaryPrimitives.ReadUInt32BigEndian(payload) & int.MaxValue), (Http2ErrorCode)BinaryPrimitives.ReadUInt32BigEndian(payload[4..]));
}

/// <summary>
/// Reads the payload of one DATA frame as it comes, so that a frame need not fit a buffer. Everything in the frame, padding too, counts against the
/// windows (RFC 9113 section 6.1): that is <see cref="FrameHeader.Length"/>, and the caller counts it once, when the header is read.
/// </summary>
internal struct DataPayload
{
    private readonly int _length;
    private int _data;
    private int _padding;
    private bool _needsPadLength;

    public DataPayload(in FrameHeader frame)
    {
        _length = frame.Length;
        _data = frame.Length;
        _needsPadLength = frame.Has(FrameFlags.Padded);
    }

    public readonly bool IsComplete => !_needsPadLength && _data == 0 && _padding == 0;

    /// <summary>Bytes of the frame that are not data: the pad length and the padding. Known when the first piece has been read.</summary>
    public readonly int Overhead => _length - DataLength;

    /// <summary>Bytes of data in the whole frame. Known when the first piece has been read.</summary>
    public int DataLength { readonly get; private set; }

    /// <summary>Takes the next piece; <paramref name="data"/> is what of <paramref name="input"/> is data, <paramref name="consumed"/> what is done with.</summary>
    public Http2Fault Read(ReadOnlySpan<byte> input, out int consumed, out ReadOnlySpan<byte> data)
    {
        consumed = 0;
        data = default;
        if (_needsPadLength)
        {
            if (_length == 0) return Http2Fault.FrameSizeWrong;
            if (input.IsEmpty) return Http2Fault.None;
            _padding = input[0];
            consumed = 1;
            _data = _length - 1 - _padding;
            if (_data < 0) return Http2Fault.PaddingTooLong;
            _needsPadLength = false;
        }

        if (DataLength == 0) DataLength = _data;
        var take = Math.Min(_data, input.Length - consumed);
        data = input.Slice(consumed, take);
        _data -= take;
        consumed += take;
        var skip = Math.Min(_padding, input.Length - consumed);
        if (_data == 0)
        {
            _padding -= skip;
            consumed += skip;
        }

        return Http2Fault.None;
    }
}
