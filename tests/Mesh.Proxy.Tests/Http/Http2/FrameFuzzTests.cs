using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2;

public sealed class FrameFuzzTests
{
    [Fact]
    public void No_frames_break_it()
    {
        var random = new Random(31);
        byte[][] payloads =
        [
            [], [0], Convert.FromHexString("828684410161"), Convert.FromHexString("000400000001"), Convert.FromHexString("0102030405060708"), Convert.FromHexString("00000001"),
            Convert.FromHexString("80000003ff828684"), Convert.FromHexString("02828684ffff"), Convert.FromHexString("400178017988"), "hello"u8.ToArray(),
        ];
        for (var round = 0; round < 4_000; round++)
        {
            using var wire = new MemoryStream();
            for (var i = random.Next(20); i >= 0; i--)
            {
                var payload = (byte[])payloads[random.Next(payloads.Length)].Clone();
                if (payload.Length > 0 && random.Next(3) == 0) payload[random.Next(payload.Length)] = (byte)random.Next(256);
                var header = new byte[FrameHeader.Size];
                new FrameHeader(random.Next(20) == 0 ? random.Next(20) : payload.Length, (FrameType)random.Next(11), (FrameFlags)random.Next(64), random.Next(8)).Write(header);
                wire.Write(header);
                wire.Write(payload);
            }

            Fuzz(wire.ToArray());
        }
    }

    /// <summary>The fuzz target: what a server does with frames until the first that ends the connection; every step gives an answer and no list breaks its limits.</summary>
    internal static void Fuzz(byte[] bytes)
    {
        var ids = new StreamIds(Http2Role.Server);
        var live = new Dictionary<int, StreamState>();
        var assembly = new FieldBlockAssembly();
        var hpack = new HpackDecoder();
        var settings = new PeerSettings();
        var guard = new FloodGuard(0);
        var fields = new HeaderBlock();
        for (var at = 0; FrameHeader.TryRead(bytes.AsSpan(at), out var frame);)
        {
            at += FrameHeader.Size;
            if (Ends(FrameRules.Check(frame, assembly.StreamId)) || frame.Length > bytes.Length - at) return;
            var payload = bytes.AsSpan(at, frame.Length);
            at += frame.Length;
            switch (frame.Type)
            {
                case FrameType.Settings when !frame.Has(FrameFlags.Ack):
                    if (Ends(guard.Pay(IdleFrame.Settings, 0)) || Ends(settings.Apply(payload, out _))) return;
                    break;
                case FrameType.Headers:
                    if (Ends(Payloads.ReadHeaders(frame, payload, out var fragment)) || !Headers(frame, fragment)) return;
                    break;
                case FrameType.Continuation:
                    if (!Headers(frame, payload)) return;
                    break;
                case FrameType.Data:
                    var data = new DataPayload(frame);
                    if (Ends(data.Read(payload, out var consumed, out var content))) return;
                    Assert.Equal((true, frame.Length), (data.IsComplete, consumed));
                    Assert.True(content.Length <= frame.Length);
                    if (!Step(frame)) return;
                    break;
                case FrameType.Priority or FrameType.RstStream:
                    if (!Step(frame)) return;
                    break;
                case FrameType.WindowUpdate:
                    if (Ends(Payloads.ReadWindowUpdate(frame, payload, out _)) || (frame.StreamId != 0 && !Step(frame))) return;
                    break;
            }
        }

        bool Headers(in FrameHeader frame, ReadOnlySpan<byte> fragment)
        {
            if (Ends(assembly.Add(frame, fragment, out var block))) return false;
            if (assembly.StreamId != 0) return true;
            fields.Clear();
            var fault = hpack.Decode(block, fields);
            Assert.True(fields.ListSize <= HttpLimits.MaxFieldList);
            if (fault is not (HpackFault.None or HpackFault.ListTooLarge)) return false;
            MessageRules.CheckRequest(fields, ConnectForm.Plain, out _);
            MessageRules.CheckTrailers(fields);
            return Step(frame with { Type = FrameType.Headers, Flags = assembly.Flags });
        }

        bool Step(in FrameHeader frame)
        {
            var state = live.TryGetValue(frame.StreamId, out var known) ? known : ids.StateOf(frame.StreamId);
            var step = StreamRules.Receive(state, frame.Type, frame.Flags);
            if (Ends(step.Fault)) return false;
            if (!step.IsAccepted) return true;
            if (state == StreamState.Idle && Ends(ids.Open(frame.StreamId, live.Count, 100))) return false;
            live[frame.StreamId] = step.Next;
            if (step.Next is not (StreamState.Ended or StreamState.ResetByPeer)) return true;
            live.Remove(frame.StreamId);
            ids.Close(frame.StreamId, step.Next);
            return true;
        }

        static bool Ends(Http2Fault fault)
        {
            Assert.True(Enum.IsDefined(fault));
            return Http2Faults.EndsConnection(fault);
        }
    }
}
