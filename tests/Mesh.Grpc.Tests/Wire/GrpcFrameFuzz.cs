using System.Buffers;
using Mesh.Grpc.Wire;

namespace Mesh.Grpc.Tests.Wire;

/// <summary>Fuzz target of the frame reader: it must agree with itself however the bytes are cut, and never look beyond them.</summary>
internal static class GrpcFrameFuzz
{
    public static void Run(ReadOnlySpan<byte> input)
    {
        var bytes = input.ToArray();
        var whole = Read(new ReadOnlySequence<byte>(bytes), limit: 32);
        foreach (var size in (ReadOnlySpan<int>)[1, 3, 5, 7])
        {
            var cut = Read(GrpcFrameTests.Pieces(bytes, size), limit: 32);
            if (!whole.SequenceEqual(cut)) throw new InvalidOperationException($"Cut into {size}, the same bytes read differently.");
        }
    }

    private static List<string> Read(ReadOnlySequence<byte> buffer, int limit)
    {
        var seen = new List<string>();
        while (true)
        {
            var before = buffer.Length;
            var result = GrpcFrame.TryRead(ref buffer, limit, out var payload, out var compressed);
            if (result != FrameRead.Message)
            {
                if (buffer.Length != before) throw new InvalidOperationException("Bytes were taken without a message.");
                seen.Add($"{result}");
                return seen;
            }

            if (payload.Length > limit || before - buffer.Length != payload.Length + GrpcFrame.HeaderLength) throw new InvalidOperationException("A message has the wrong size.");
            seen.Add($"{compressed} {Convert.ToHexString(payload.ToArray())}");
        }
    }
}
