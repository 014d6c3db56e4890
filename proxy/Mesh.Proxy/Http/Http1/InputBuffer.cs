using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>Bytes that were read and are not used yet. Holds a native buffer only while there are any, small until a peer shows that it sends in bulk.</summary>
internal struct InputBuffer(NativeBuffers buffers)
{
    private NativeBuffer? _buffer;
    private int _start;
    private int _end;
    private bool _bulk;

    public readonly int Length => _end - _start;

    /// <summary>Valid until the next <see cref="Read"/> or <see cref="Release"/>.</summary>
    public readonly Span<byte> Bytes => _buffer is { } buffer ? buffer.Span[_start.._end] : default;

    /// <summary>Reads behind what is here. What is here must be less than a small buffer: no parser leaves more.</summary>
    public IoResult Read(Transport transport)
    {
        if (_buffer is null)
        {
            _buffer = buffers.Rent(_bulk ? NativeBuffers.BulkSize : NativeBuffers.Small);
        }
        else if (_start > 0)
        {
            Bytes.CopyTo(_buffer.Span);
            (_start, _end) = (0, Length);
        }

        var room = _buffer.Span[_end..Math.Min(_buffer.Length, NativeBuffers.BulkSize)];
        var result = transport.Read(room);
        if (result.Status == IoStatus.Ok)
        {
            _end += result.Bytes;
            _bulk = result.Bytes == room.Length || result.Bytes >= NativeBuffers.Small;
        }

        return result;
    }

    /// <summary>The first <paramref name="count"/> bytes are done with. Spans of them stay valid.</summary>
    public void Consume(int count) => _start += count;

    /// <summary>Gives the buffer back if nothing is in it.</summary>
    public void ReleaseIfEmpty()
    {
        if (Length == 0) Release();
    }

    public void Release()
    {
        _buffer?.Return();
        _buffer = null;
        _start = _end = 0;
    }
}
