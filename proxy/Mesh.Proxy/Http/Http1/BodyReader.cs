namespace Mesh.Proxy.Http.Http1;

internal enum BodyStatus : byte
{
    /// <summary>The bytes that were not consumed must come first in the next call, with more behind them.</summary>
    NeedMore = 0,

    /// <summary>The body and its trailers are complete.</summary>
    Complete = 1,
    Refused = 2,
}

/// <summary>Finds the data and the end of a body, whatever says where that is.</summary>
internal struct BodyReader
{
    private BodyKind _kind;
    private long _left;
    private ChunkedDecoder? _chunks;

    public readonly BodyKind Kind => _kind;

    /// <summary>Bytes of the body that are still to come when its length was declared; 0 otherwise.</summary>
    public readonly long Left => _left;

    public void Start(BodyFraming framing)
    {
        (_kind, _left) = (framing.Kind, framing.Length);
        if (_kind == BodyKind.Chunked) (_chunks ??= new ChunkedDecoder()).Reset();
    }

    /// <summary>
    /// Takes from <paramref name="input"/>, which is not empty, what belongs to the body, as <see cref="ChunkedDecoder.Decode"/> does. A body until
    /// the close, and a tunnel, are never complete here.
    /// </summary>
    public BodyStatus Read(Span<byte> input, HeaderBlock trailers, out int consumed, out Range data, out Http1Fault fault)
    {
        fault = Http1Fault.None;
        if (_kind == BodyKind.Chunked)
        {
            var status = _chunks!.Decode(input, trailers, out consumed, out data);
            if (status == BodyStatus.Refused) fault = _chunks.Fault;
            return status;
        }

        consumed = _kind == BodyKind.Length ? (int)Math.Min(_left, input.Length) : input.Length;
        data = ..consumed;
        if (_kind != BodyKind.Length) return BodyStatus.NeedMore;
        _left -= consumed;
        return _left == 0 ? BodyStatus.Complete : BodyStatus.NeedMore;
    }
}
