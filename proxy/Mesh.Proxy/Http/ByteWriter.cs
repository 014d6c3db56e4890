namespace Mesh.Proxy.Http;

/// <summary>Appends to a span. What does not fit is left out and remembered, so that the caller looks once, at the end.</summary>
internal ref struct ByteWriter(Span<byte> destination)
{
    private readonly Span<byte> _destination = destination;

    public int Written { get; private set; }

    public bool Overflowed { get; private set; }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _destination.Length - Written)
        {
            Overflowed = true;
            return;
        }

        bytes.CopyTo(_destination[Written..]);
        Written += bytes.Length;
    }

    public void Write(byte value)
    {
        if (Written == _destination.Length)
        {
            Overflowed = true;
            return;
        }

        _destination[Written++] = value;
    }

    public void WriteNumber(long value)
    {
        if (value.TryFormat(_destination[Written..], out var length)) Written += length;
        else Overflowed = true;
    }
}
