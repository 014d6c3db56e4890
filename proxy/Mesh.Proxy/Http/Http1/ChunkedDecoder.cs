namespace Mesh.Proxy.Http.Http1;

/// <summary>
/// Takes the chunks off a body (RFC 9112 section 7.1). Sizes are hexadecimal digits and nothing else: extensions are refused, because no application
/// sends them, nobody can pass them on through HTTP/2, and parsers that skip them have not agreed on where they end.
/// </summary>
internal sealed class ChunkedDecoder
{
    private FieldLines _trailers;
    private State _state;
    private long _size;
    private int _digits;

    public ChunkedDecoder() => Reset();

    private enum State : byte
    {
        Size,
        SizeLineFeed,
        Data,
        DataReturn,
        DataLineFeed,
        Trailers,
        Complete,
    }

    /// <summary>Why the last call refused.</summary>
    public Http1Fault Fault { get; private set; }

    public void Reset()
    {
        _trailers = new FieldLines(HttpLimits.MaxTrailers, Http1Fault.TrailersTooLong);
        _state = State.Size;
        _size = 0;
        _digits = 0;
        Fault = Http1Fault.None;
    }

    /// <summary>
    /// Decodes what is in <paramref name="buffer"/>, moving the data of further chunks down behind that of the first, so that all of it is one slice:
    /// <paramref name="data"/>. Bytes before <paramref name="consumed"/> are done with once the data has been used. Trailers go to <paramref name="trailers"/>.
    /// Data that came before a fault is not given.
    /// </summary>
    public BodyStatus Decode(Span<byte> buffer, HeaderBlock trailers, out int consumed, out Range data)
    {
        consumed = 0;
        data = default;
        var start = 0;
        var end = 0;
        var at = 0;
        while (at < buffer.Length)
        {
            var current = buffer[at];
            switch (_state)
            {
                case State.Size:
                    if (HexDigit(current) is >= 0 and var digit)
                    {
                        // Sizes are kept below 2^63.
                        if (++_digits > HttpLimits.MaxChunkSizeDigits || _size >> 59 != 0) return Refuse(Http1Fault.BadChunkSize);
                        _size = _size << 4 | (uint)digit;
                    }
                    else if (_digits == 0)
                    {
                        return Refuse(Http1Fault.BadChunkSize);
                    }
                    else if (current != '\r')
                    {
                        return Refuse(current switch
                        {
                            (byte)';' => Http1Fault.ChunkExtension,
                            (byte)'\n' => Http1Fault.BareLineFeed,
                            _ => Http1Fault.BadChunkSize,
                        });
                    }
                    else
                    {
                        _state = State.SizeLineFeed;
                    }

                    at++;
                    break;
                case State.SizeLineFeed:
                    if (current != '\n') return Refuse(Http1Fault.BareCarriageReturn);
                    at++;
                    _digits = 0;
                    _state = _size == 0 ? State.Trailers : State.Data;
                    break;
                case State.Data:
                    var take = (int)Math.Min(_size, buffer.Length - at);
                    if (end == 0) start = end = at;
                    if (end != at) buffer.Slice(at, take).CopyTo(buffer[end..]);
                    end += take;
                    at += take;
                    _size -= take;
                    if (_size == 0) _state = State.DataReturn;
                    break;
                case State.DataReturn:
                    if (current != '\r') return Refuse(Http1Fault.MissingChunkEnd);
                    at++;
                    _state = State.DataLineFeed;
                    break;
                case State.DataLineFeed:
                    if (current != '\n') return Refuse(Http1Fault.MissingChunkEnd);
                    at++;
                    _state = State.Size;
                    break;
                case State.Trailers:
                    var status = _trailers.Read(buffer[at..], trailers, out var taken);
                    at += taken;
                    consumed = at;
                    data = start..end;
                    if (status == HeadStatus.NeedMore) return BodyStatus.NeedMore;
                    if (status == HeadStatus.Refused) return Refuse(_trailers.Fault);
                    _state = State.Complete;
                    return TrailerFields.Check(trailers) ? BodyStatus.Complete : Refuse(Http1Fault.TrailerNotAllowed);
                default:
                    throw new InvalidOperationException("The body is complete; the decoder must be reset before the next.");
            }
        }

        consumed = at;
        data = start..end;
        return BodyStatus.NeedMore;
    }

    private static int HexDigit(byte character) => character switch
    {
        >= (byte)'0' and <= (byte)'9' => character - '0',
        >= (byte)'a' and <= (byte)'f' => character - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => character - 'A' + 10,
        _ => -1,
    };

    private BodyStatus Refuse(Http1Fault fault)
    {
        Fault = fault;
        return BodyStatus.Refused;
    }
}
