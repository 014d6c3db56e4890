using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2;

public sealed class FrameTests
{
    [Fact]
    public void Header_of_section_4_1_is_read_and_written()
    {
        var bytes = Convert.FromHexString("00401a" + "01" + "2d" + "80000003" + "ff");
        Assert.True(FrameHeader.TryRead(bytes, out var header));
        Assert.Equal(new FrameHeader(0x401a, FrameType.Headers, FrameFlags.EndStream | FrameFlags.EndHeaders | FrameFlags.Padded | FrameFlags.Priority, 3), header);
        var again = new byte[FrameHeader.Size];
        header.Write(again);
        Assert.Equal("00401a012d00000003", Convert.ToHexStringLower(again));
        for (var length = 0; length < FrameHeader.Size; length++) Assert.False(FrameHeader.TryRead(bytes.AsSpan(0, length), out _));
    }

    [Theory]
    [InlineData("Data", 16384, 1, Http2Fault.None)]
    [InlineData("Data", 16385, 1, Http2Fault.FrameTooLarge)]
    [InlineData("Data", 0, 0, Http2Fault.StreamIdMissing)]
    [InlineData("Headers", 5, 0, Http2Fault.StreamIdMissing)]
    [InlineData("Headers", 16385, 1, Http2Fault.FrameTooLarge)]
    [InlineData("Priority", 5, 0, Http2Fault.StreamIdMissing)]
    [InlineData("Priority", 4, 1, Http2Fault.PriorityFrameSizeWrong)]
    [InlineData("Priority", 5, 1, Http2Fault.None)]
    [InlineData("RstStream", 4, 0, Http2Fault.StreamIdMissing)]
    [InlineData("RstStream", 3, 1, Http2Fault.FrameSizeWrong)]
    [InlineData("RstStream", 5, 1, Http2Fault.FrameSizeWrong)]
    [InlineData("Settings", 6, 1, Http2Fault.StreamIdUnexpected)]
    [InlineData("Settings", 7, 0, Http2Fault.FrameSizeWrong)]
    [InlineData("Settings", 0, 0, Http2Fault.None)]
    [InlineData("PushPromise", 8, 1, Http2Fault.PushFromClient)]
    [InlineData("Ping", 8, 1, Http2Fault.StreamIdUnexpected)]
    [InlineData("Ping", 7, 0, Http2Fault.FrameSizeWrong)]
    [InlineData("GoAway", 8, 1, Http2Fault.StreamIdUnexpected)]
    [InlineData("GoAway", 7, 0, Http2Fault.FrameSizeWrong)]
    [InlineData("GoAway", 20, 0, Http2Fault.None)]
    [InlineData("WindowUpdate", 3, 0, Http2Fault.FrameSizeWrong)]
    [InlineData("WindowUpdate", 4, 1, Http2Fault.None)]
    [InlineData("Continuation", 4, 0, Http2Fault.StreamIdMissing)]
    [InlineData("Continuation", 4, 1, Http2Fault.ContinuationUnexpected)]
    [InlineData("77", 4, 0, Http2Fault.None)] // unknown types are ignored (section 4.1)
    [InlineData("77", 16385, 0, Http2Fault.FrameTooLarge)]
    public void Frames_of_section_6_are_judged_by_their_header(string type, int length, int stream, object fault) =>
        Assert.Equal(fault, FrameRules.Check(new FrameHeader(length, Enum.Parse<FrameType>(type), FrameFlags.None, stream), 0));

    [Fact]
    public void A_settings_acknowledgement_is_empty()
    {
        Assert.Equal(Http2Fault.None, FrameRules.Check(new FrameHeader(0, FrameType.Settings, FrameFlags.Ack, 0), 0));
        Assert.Equal(Http2Fault.FrameSizeWrong, FrameRules.Check(new FrameHeader(6, FrameType.Settings, FrameFlags.Ack, 0), 0));
    }

    [Fact]
    public void Nothing_comes_between_the_pieces_of_a_field_block()
    {
        foreach (var type in Enum.GetValues<FrameType>().Append((FrameType)77))
        {
            var length = type switch { FrameType.Priority => 5, FrameType.Ping or FrameType.GoAway => 8, FrameType.RstStream or FrameType.WindowUpdate => 4, _ => 0 };
            var expected = type == FrameType.Continuation ? Http2Fault.None : Http2Fault.ContinuationExpected;
            Assert.Equal(expected, FrameRules.Check(new FrameHeader(length, type, FrameFlags.None, 3), 3));
        }

        Assert.Equal(Http2Fault.ContinuationExpected, FrameRules.Check(new FrameHeader(0, FrameType.Continuation, FrameFlags.None, 5), 3));
    }

    [Theory]
    [InlineData(FrameFlags.None, "828684", "828684", Http2Fault.None)]
    [InlineData(FrameFlags.Padded, "02" + "828684" + "0000", "828684", Http2Fault.None)]
    [InlineData(FrameFlags.Priority, "80000005ff" + "82", "82", Http2Fault.None)]
    [InlineData(FrameFlags.Priority | FrameFlags.Padded, "01" + "0000000500" + "82" + "00", "82", Http2Fault.None)]
    [InlineData(FrameFlags.Priority, "80000003ff" + "82", "82", Http2Fault.PriorityOnItself)]
    [InlineData(FrameFlags.Padded, "03" + "0000", "", Http2Fault.PaddingTooLong)]
    [InlineData(FrameFlags.Padded, "", "", Http2Fault.FrameSizeWrong)]
    [InlineData(FrameFlags.Priority, "000000", "", Http2Fault.FrameSizeWrong)]
    [InlineData(FrameFlags.Padded, "02" + "0000", "", Http2Fault.None)]
    public void Headers_of_section_6_2(object flags, string payload, string fragment, object fault)
    {
        var bytes = Convert.FromHexString(payload);
        Assert.Equal(fault, Payloads.ReadHeaders(new FrameHeader(bytes.Length, FrameType.Headers, (FrameFlags)flags, 3), bytes, out var read));
        Assert.Equal(fragment, Convert.ToHexStringLower(read));
    }

    [Theory]
    [InlineData(FrameFlags.None, "616263", "616263")]
    [InlineData(FrameFlags.Padded, "02" + "616263" + "0000", "616263")]
    [InlineData(FrameFlags.Padded, "00" + "61", "61")]
    [InlineData(FrameFlags.Padded, "02" + "0000", "")]
    [InlineData(FrameFlags.None, "", "")]
    public void Data_of_section_6_1_comes_in_any_pieces(object flags, string payload, string data)
    {
        var bytes = Convert.FromHexString(payload);
        for (var step = 1; step <= bytes.Length + 1; step++)
        {
            var reader = new DataPayload(new FrameHeader(bytes.Length, FrameType.Data, (FrameFlags)flags, 1));
            var got = "";
            for (var at = 0; at < bytes.Length;)
            {
                Assert.False(reader.IsComplete);
                Assert.Equal(Http2Fault.None, reader.Read(bytes.AsSpan(at, Math.Min(step, bytes.Length - at)), out var consumed, out var piece));
                got += Convert.ToHexStringLower(piece);
                at += consumed;
            }

            Assert.True(reader.IsComplete);
            Assert.Equal(data, got);
            Assert.Equal(data.Length / 2, bytes.Length - reader.Overhead);
        }
    }

    [Fact]
    public void Data_takes_nothing_of_the_next_frame_and_no_padding_that_is_not_there()
    {
        var reader = new DataPayload(new FrameHeader(4, FrameType.Data, FrameFlags.Padded, 1));
        Assert.Equal(Http2Fault.None, reader.Read(Convert.FromHexString("01616200" + "ffff"), out var consumed, out var data));
        Assert.Equal((4, "ab"), (consumed, System.Text.Encoding.ASCII.GetString(data)));
        reader = new DataPayload(new FrameHeader(3, FrameType.Data, FrameFlags.Padded, 1));
        Assert.Equal(Http2Fault.PaddingTooLong, reader.Read([3, 0, 0], out _, out _));
        reader = new DataPayload(new FrameHeader(0, FrameType.Data, FrameFlags.Padded, 1));
        Assert.Equal(Http2Fault.FrameSizeWrong, reader.Read([0], out _, out _));
    }

    [Theory]
    [InlineData("000100000000", Http2Fault.None)]
    [InlineData("000200000001", Http2Fault.None)]
    [InlineData("000200000002", Http2Fault.BadSetting)]
    [InlineData("00047fffffff", Http2Fault.None)]
    [InlineData("000480000000", Http2Fault.BadWindowSetting)]
    [InlineData("000500003fff", Http2Fault.BadSetting)]
    [InlineData("000500004000", Http2Fault.None)]
    [InlineData("000500ffffff", Http2Fault.None)]
    [InlineData("000501000000", Http2Fault.BadSetting)]
    [InlineData("000800000002", Http2Fault.BadSetting)]
    [InlineData("000800000001000800000000", Http2Fault.BadSetting)]
    [InlineData("ffffffffffff", Http2Fault.None)]
    public void Settings_of_section_6_5_2(string payload, object fault)
    {
        var settings = new PeerSettings();
        Assert.Equal(fault, settings.Apply(Convert.FromHexString(payload), out _));
    }

    [Fact]
    public void The_last_value_of_a_setting_counts_and_windows_change_by_the_difference()
    {
        var settings = new PeerSettings();
        Assert.Equal(Http2Fault.None, settings.Apply(Convert.FromHexString("000400000001" + "000400000064" + "000100000200" + "000300000007" + "000500005000" + "000600001000" + "000800000001"), out var change));
        Assert.Equal((100, 100 - 65535), (settings.InitialWindowSize, change));
        Assert.Equal((512u, 7u, 0x5000, 4096u, true), (settings.HeaderTableSize, settings.MaxConcurrentStreams, settings.MaxFrameSize, settings.MaxHeaderListSize, settings.EnableConnectProtocol));
    }

    [Fact]
    public void Small_frames_are_written_as_they_are_read()
    {
        var buffer = new byte[64];
        Assert.Equal("00000c0400000000000002000000000004000fffff", Hex(FrameWriter.WriteSettings(buffer, [(SettingId.EnablePush, 0), (SettingId.InitialWindowSize, 0xfffff)])));
        Assert.Equal("000000040100000000", Hex(FrameWriter.WriteSettingsAck(buffer)));
        Assert.Equal("0000080601000000000102030405060708", Hex(FrameWriter.WritePing(buffer, FrameFlags.Ack, [1, 2, 3, 4, 5, 6, 7, 8])));
        Assert.Equal("000008070000000000000000050000000b", Hex(FrameWriter.WriteGoAway(buffer, 5, Http2ErrorCode.EnhanceYourCalm)));
        Assert.Equal((5, Http2ErrorCode.EnhanceYourCalm), Payloads.ReadGoAway(buffer.AsSpan(9)));
        Assert.Equal("00000403000000000300000008", Hex(FrameWriter.WriteRstStream(buffer, 3, Http2ErrorCode.Cancel)));
        Assert.Equal(Http2ErrorCode.Cancel, Payloads.ReadRstStream(buffer.AsSpan(9)));
        Assert.Equal("00000408000000000000001000", Hex(FrameWriter.WriteWindowUpdate(buffer, 0, 4096)));
        Assert.Equal("000005000100000007", Hex(FrameWriter.WriteDataHeader(buffer, 7, 5, FrameFlags.EndStream)));

        string Hex(int length) => Convert.ToHexStringLower(buffer.AsSpan(0, length));
    }

    [Theory]
    [InlineData(0, Http2Fault.ConnectionWindowIncrementZero)]
    [InlineData(1, Http2Fault.StreamWindowIncrementZero)]
    public void An_increment_of_zero_is_a_fault_of_its_own_scope(int stream, object fault)
    {
        var frame = new FrameHeader(4, FrameType.WindowUpdate, FrameFlags.None, stream);
        Assert.Equal(fault, Payloads.ReadWindowUpdate(frame, [0x80, 0, 0, 0], out _));
        Assert.Equal(Http2Fault.None, Payloads.ReadWindowUpdate(frame, [0xff, 0xff, 0xff, 0xff], out var increment));
        Assert.Equal(int.MaxValue, increment);
    }

    [Theory]
    [InlineData(10, 1)]
    [InlineData(16_384, 1)]
    [InlineData(16_500, 2)]
    [InlineData(39_000, 3)]
    public void A_large_head_goes_in_several_frames_and_comes_back(int size, int frames)
    {
        var fields = HeaderBlockText.Block(":method: GET\n" + string.Concat(Enumerable.Range(0, 3).Select(i => $"x-{i}: {new string('v', size / 3)}\n")));
        if (size == 16_384) fields = HeaderBlockText.Block("x: " + new string('v', 16_384 - 6) + "\n");
        var buffer = new byte[FrameWriter.MaxHeadersSize(fields, FrameRules.MaxFrameSize)];
        var written = FrameWriter.WriteHeaders(buffer, 7, fields, FrameFlags.EndStream, new HpackEncoder(HuffmanUse.Never), FrameRules.MaxFrameSize);
        var assembly = new FieldBlockAssembly();
        var count = 0;
        var decoded = new HeaderBlock();
        for (var at = 0; at < written; count++)
        {
            Assert.True(FrameHeader.TryRead(buffer.AsSpan(at), out var frame));
            Assert.Equal(Http2Fault.None, FrameRules.Check(frame, assembly.StreamId));
            Assert.Equal(Http2Fault.None, assembly.Add(frame, buffer.AsSpan(at + FrameHeader.Size, frame.Length), out var block));
            at += FrameHeader.Size + frame.Length;
            Assert.Equal(at < written ? 7 : 0, assembly.StreamId);
            if (at == written) Assert.Equal(HpackFault.None, new HpackDecoder().Decode(block, decoded));
        }

        Assert.Equal(frames, count);
        Assert.Equal(fields.Text(), decoded.Text());
        Assert.True((assembly.Flags & FrameFlags.EndStream) != 0);
    }

    [Fact]
    public void Field_blocks_are_bounded_in_bytes_and_in_pieces()
    {
        var assembly = new FieldBlockAssembly();
        Assert.Equal(Http2Fault.None, assembly.Add(new FrameHeader(0, FrameType.Headers, FrameFlags.None, 1), [], out _));
        for (var i = 0; i < FieldBlockAssembly.MaxContinuations; i++) Assert.Equal(Http2Fault.None, assembly.Add(new FrameHeader(0, FrameType.Continuation, FrameFlags.None, 1), [], out _));
        Assert.Equal(Http2Fault.TooManyContinuations, assembly.Add(new FrameHeader(0, FrameType.Continuation, FrameFlags.EndHeaders, 1), [], out _));

        var piece = new byte[16 * 1024];
        Assert.Equal(Http2Fault.None, assembly.Add(new FrameHeader(piece.Length, FrameType.Headers, FrameFlags.None, 3), piece, out _));
        Assert.Equal(Http2Fault.None, assembly.Add(new FrameHeader(piece.Length, FrameType.Continuation, FrameFlags.None, 3), piece, out _));
        Assert.Equal(Http2Fault.FieldBlockTooLarge, assembly.Add(new FrameHeader(piece.Length, FrameType.Continuation, FrameFlags.EndHeaders, 3), piece, out _));
    }

    [Fact]
    public void Each_fault_has_its_sentence_code_and_scope()
    {
        var faults = Enum.GetValues<Http2Fault>();
        Assert.Equal(faults.Length, faults.Select(Http2Faults.Sentence).Distinct().Count());
        Assert.All(faults.Skip(1), fault => Assert.NotEqual(Http2ErrorCode.NoError, Http2Faults.Code(fault)));
        Assert.Equal((true, Http2ErrorCode.FrameSizeError), (Http2Faults.EndsConnection(Http2Fault.FrameSizeWrong), Http2Faults.Code(Http2Fault.FrameSizeWrong)));
        Assert.Equal((false, Http2ErrorCode.FrameSizeError), (Http2Faults.EndsConnection(Http2Fault.PriorityFrameSizeWrong), Http2Faults.Code(Http2Fault.PriorityFrameSizeWrong)));
        Assert.Equal((true, Http2ErrorCode.EnhanceYourCalm), (Http2Faults.EndsConnection(Http2Fault.Flood), Http2Faults.Code(Http2Fault.Flood)));
        Assert.Equal((false, Http2ErrorCode.RefusedStream), (Http2Faults.EndsConnection(Http2Fault.TooManyStreams), Http2Faults.Code(Http2Fault.TooManyStreams)));
        Assert.Equal((false, Http2ErrorCode.ProtocolError), (Http2Faults.EndsConnection(Http2Fault.BadPath), Http2Faults.Code(Http2Fault.BadPath)));
        Assert.False(Http2Faults.EndsConnection(Http2Fault.None));
    }
}
