using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Streams;

/// <summary>Bytes that wait, in native buffers of the loop, first in first out. Holds none while empty.</summary>
internal sealed class ByteQueue(NativeBuffers buffers)
{
    private readonly Queue<Piece> _full = new();
    private NativeBuffer? _last;
    private int _lastStart;
    private int _lastEnd;

    public int Size { get; private set; }

    public bool IsEmpty => Size == 0;

    /// <summary>The oldest bytes, as many as lie together; empty only when the queue is.</summary>
    public ReadOnlySpan<byte> First =>
        _full.TryPeek(out var piece) ? piece.Buffer.Span[piece.Start..piece.End] : _last is { } last ? last.Span[_lastStart.._lastEnd] : default;

    /// <summary>Room for <paramref name="size"/> bytes, at most <see cref="NativeBuffers.Large"/>, behind what is here; <see cref="Commit"/> says how many of them are used.</summary>
    public Span<byte> Reserve(int size)
    {
        if (_last is { } last)
        {
            if (last.Length - _lastEnd >= size) return last.Span[_lastEnd..];
            if (_lastEnd > _lastStart) _full.Enqueue(new Piece(last, _lastStart, _lastEnd));
            else last.Return();
        }

        // Small messages share one small buffer; when that was not enough, bulk is coming.
        _last = buffers.Rent(Math.Max(size, Size > 0 ? NativeBuffers.Large : 0));
        _lastStart = _lastEnd = 0;
        return _last.Span;
    }

    public void Commit(int size)
    {
        _lastEnd += size;
        Size += size;
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_last is null || _last.Length == _lastEnd) Reserve(Math.Min(bytes.Length, NativeBuffers.Large));
            var take = Math.Min(bytes.Length, _last!.Length - _lastEnd);
            bytes[..take].CopyTo(_last.Span[_lastEnd..]);
            Commit(take);
            bytes = bytes[take..];
        }
    }

    /// <summary>Drops the oldest <paramref name="size"/> bytes, no more than <see cref="First"/> has.</summary>
    public void Advance(int size)
    {
        Size -= size;
        if (_full.TryPeek(out var piece))
        {
            piece.Start += size;
            if (piece.Start < piece.End) return;
            _full.Dequeue();
            piece.Buffer.Return();
            return;
        }

        _lastStart += size;
        if (Size > 0) return;
        _last?.Return();
        _last = null;
    }

    /// <summary>Sends a copy of everything to <paramref name="stream"/>; what is here stays.</summary>
    public void SendTo(HttpStream stream, bool end)
    {
        foreach (var piece in _full) stream.SendData(piece.Buffer.Span[piece.Start..piece.End], end: false);
        stream.SendData(_last is { } last ? last.Span[_lastStart.._lastEnd] : default, end);
    }

    public void Clear()
    {
        while (_full.TryDequeue(out var piece)) piece.Buffer.Return();
        _last?.Return();
        _last = null;
        Size = 0;
    }

    private sealed class Piece(NativeBuffer buffer, int start, int end)
    {
        public NativeBuffer Buffer { get; } = buffer;

        public int Start { get; set; } = start;

        public int End { get; } = end;
    }
}
