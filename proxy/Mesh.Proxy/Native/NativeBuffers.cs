using System.Buffers;
using System.Runtime.InteropServices;

namespace Mesh.Proxy.Native;

/// <summary>
/// Buffers outside the managed heap, kept on a stack per size by the loop that uses them: the next reader gets the one that is still in the cache.
/// Rent when bytes are there, return before waiting again; then a thousand idle connections hold none.
/// </summary>
internal sealed class NativeBuffers : IDisposable
{
    public const int Small = 16 * 1024;
    public const int Large = BulkSize + 2 * 1024;

    /// <summary>What one turn of a bulk transfer moves. A large buffer holds it also when it is sealed into TLS records.</summary>
    public const int BulkSize = 64 * 1024;

    // What stays when a burst is over: 2 MB.
    private const int MaxIdleSmall = 64;
    private const int MaxIdleLarge = 16;

    private readonly Stack<NativeBuffer> _small = new();
    private readonly Stack<NativeBuffer> _large = new();
    private bool _disposed;

    /// <summary>Buffers of this pool that are out.</summary>
    public int Rented { get; private set; }

    /// <summary>A buffer of <see cref="Small"/> or <see cref="Large"/> bytes, whichever holds <paramref name="size"/>; its content is left over from earlier use.</summary>
    public NativeBuffer Rent(int size)
    {
        Stack<NativeBuffer> idle = size <= Small ? _small : _large;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, Large);
        NativeBuffer buffer = idle.Count > 0 ? idle.Pop() : new NativeBuffer(this, size <= Small ? Small : Large);
        buffer.IsRented = true;
        Rented++;
        NativeCounts.Buffers(1);
        return buffer;
    }

    internal void Return(NativeBuffer buffer)
    {
        if (!buffer.IsRented) throw new InvalidOperationException("A buffer was returned twice.");
        buffer.IsRented = false;
        Rented--;
        NativeCounts.Buffers(-1);
        (Stack<NativeBuffer> idle, int max) = buffer.Length == Small ? (_small, MaxIdleSmall) : (_large, MaxIdleLarge);
        if (_disposed || idle.Count >= max) buffer.Free();
        else idle.Push(buffer);
    }

    public void Dispose()
    {
        _disposed = true;
        foreach (NativeBuffer buffer in _small) buffer.Free();
        foreach (NativeBuffer buffer in _large) buffer.Free();
        _small.Clear();
        _large.Clear();
    }
}

/// <summary>One block of a <see cref="NativeBuffers"/> pool. Disposing returns it; using it afterwards is a bug that this type cannot see.</summary>
internal sealed unsafe class NativeBuffer : MemoryManager<byte>
{
    private readonly NativeBuffers _owner;
    private byte* _pointer;

    internal NativeBuffer(NativeBuffers owner, int length)
    {
        _owner = owner;
        Length = length;
        _pointer = (byte*)NativeMemory.AlignedAlloc((nuint)length, 64);
    }

    public int Length { get; }

    public byte* Pointer => _pointer;

    public Span<byte> Span => new(_pointer, Length);

    internal bool IsRented { get; set; }

    public void Return() => _owner.Return(this);

    public override Span<byte> GetSpan() => Span;

    public override MemoryHandle Pin(int elementIndex = 0) => new(_pointer + elementIndex);

    public override void Unpin() { }

    internal void Free()
    {
        NativeMemory.AlignedFree(_pointer);
        _pointer = null;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && IsRented) Return();
    }
}
