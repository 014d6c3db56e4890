using System.Buffers;
using Mesh.Grpc.Wire;

namespace Mesh.Grpc.Tests.Wire;

public sealed class GrpcFrameTests
{
    [Fact]
    public void A_message_is_found_however_its_bytes_are_cut()
    {
        byte[] bytes = [0, 0, 0, 0, 3, 1, 2, 3, 1, 0, 0, 0, 0, 0, 0];
        for (var cut = 1; cut < bytes.Length; cut++)
        {
            var buffer = Pieces(bytes, cut);
            Assert.Equal(FrameRead.Message, GrpcFrame.TryRead(ref buffer, 10, out var payload, out var compressed));
            Assert.Equal([1, 2, 3], payload.ToArray());
            Assert.False(compressed);
            Assert.Equal(FrameRead.Message, GrpcFrame.TryRead(ref buffer, 10, out payload, out compressed));
            Assert.True(payload.IsEmpty);
            Assert.True(compressed);
            Assert.Equal(FrameRead.NeedMore, GrpcFrame.TryRead(ref buffer, 10, out _, out _));
            Assert.Equal(2, buffer.Length);
        }
    }

    [Fact]
    public void Every_prefix_of_a_message_needs_more()
    {
        byte[] bytes = [0, 0, 0, 0, 3, 1, 2, 3];
        for (var length = 0; length < bytes.Length; length++)
        {
            var buffer = new ReadOnlySequence<byte>(bytes, 0, length);
            Assert.Equal(FrameRead.NeedMore, GrpcFrame.TryRead(ref buffer, 3, out _, out _));
            Assert.Equal(length, buffer.Length);
        }
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 0, 0, 11 }, FrameRead.TooLarge)]
    [InlineData(new byte[] { 0, 0, 0, 0, 10 }, FrameRead.NeedMore)]
    [InlineData(new byte[] { 1, 0xff, 0xff, 0xff, 0xff }, FrameRead.TooLarge)]
    [InlineData(new byte[] { 0, 0x80, 0, 0, 0 }, FrameRead.TooLarge)]
    [InlineData(new byte[] { 2 }, FrameRead.BadFlag)]
    [InlineData(new byte[] { 0x47, 0x45, 0x54, 0x20, 0x2f }, FrameRead.BadFlag)]
    public void A_header_is_judged_before_its_message(byte[] header, FrameRead expected)
    {
        var buffer = new ReadOnlySequence<byte>(header);
        Assert.Equal(expected, GrpcFrame.TryRead(ref buffer, 10, out _, out _));
    }

    [Fact]
    public void A_written_header_is_read_back()
    {
        var frame = new byte[GrpcFrame.HeaderLength + 70_000];
        GrpcFrame.WriteHeader(frame, 70_000, compressed: true);
        var buffer = new ReadOnlySequence<byte>(frame);
        Assert.Equal(FrameRead.Message, GrpcFrame.TryRead(ref buffer, 70_000, out var payload, out var compressed));
        Assert.Equal(70_000, payload.Length);
        Assert.True(compressed);
    }

    [Fact]
    public void Any_bytes_are_read_without_a_fault()
    {
        GrpcFrameFuzz.Run([]);
        var random = new Random(20260101);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = new byte[random.Next(64)];
            random.NextBytes(bytes);
            // Mostly plausible headers, or nothing but the flag would be tried.
            if (bytes.Length > 0 && random.Next(4) != 0) bytes[0] = (byte)random.Next(2);
            if (bytes.Length > 4 && random.Next(4) != 0) bytes.AsSpan(1, 3).Clear();
            GrpcFrameFuzz.Run(bytes);
        }
    }

    internal static ReadOnlySequence<byte> Pieces(ReadOnlyMemory<byte> bytes, int size)
    {
        if (bytes.Length <= size) return new ReadOnlySequence<byte>(bytes);
        var first = new Piece(bytes[..size], 0);
        var last = first;
        for (var at = size; at < bytes.Length; at += size) last = last.Append(bytes.Slice(at, Math.Min(size, bytes.Length - at)));
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, long at) => (Memory, RunningIndex) = (memory, at);

        public Piece Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Piece(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}
