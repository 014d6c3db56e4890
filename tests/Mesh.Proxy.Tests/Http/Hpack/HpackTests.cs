using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;

namespace Mesh.Proxy.Tests.Http.Hpack;

public sealed class HpackTests
{
    [Fact]
    public void The_static_table_is_that_of_appendix_a()
    {
        // The entries at the seams; what is between them follows the enum, which the names test holds.
        (int Index, string Name, string Value)[] entries =
        [
            (1, ":authority", ""), (2, ":method", "GET"), (3, ":method", "POST"), (4, ":path", "/"), (5, ":path", "/index.html"), (6, ":scheme", "http"), (7, ":scheme", "https"),
            (8, ":status", "200"), (14, ":status", "500"), (15, "accept-charset", ""), (16, "accept-encoding", "gzip, deflate"), (17, "accept-language", ""),
            (20, "access-control-allow-origin", ""), (23, "authorization", ""), (28, "content-length", ""), (31, "content-type", ""), (32, "cookie", ""), (33, "date", ""),
            (38, "host", ""), (46, "location", ""), (51, "referer", ""), (55, "set-cookie", ""), (57, "transfer-encoding", ""), (58, "user-agent", ""), (61, "www-authenticate", ""),
        ];
        foreach (var (index, name, value) in entries)
        {
            Assert.Equal((name, value), (Encoding.ASCII.GetString(FieldNames.Bytes(StaticTable.Name(index))), Encoding.ASCII.GetString(StaticTable.Value(index))));
            Assert.Equal(index, StaticTable.Find(StaticTable.Name(index), StaticTable.Value(index)));
        }

        Assert.Equal((8, 28, 0), (StaticTable.Find(FieldName.Status), StaticTable.Find(FieldName.ContentLength), StaticTable.Find(FieldName.Te)));
        Assert.Equal(0, StaticTable.Find(FieldName.Status, "201"u8));
    }

    [Theory]
    [InlineData("80", HpackFault.BadIndex)] // index 0
    [InlineData("be", HpackFault.BadIndex)] // 62, and the table is empty
    [InlineData("7e0161", HpackFault.BadIndex)]
    [InlineData("ff", HpackFault.Truncated)]
    [InlineData("ff80808080", HpackFault.Truncated)]
    [InlineData("ff8080808001", HpackFault.IntegerTooLarge)]
    [InlineData("ffffffffff7f", HpackFault.IntegerTooLarge)]
    [InlineData("40", HpackFault.Truncated)]
    [InlineData("4001", HpackFault.Truncated)]
    [InlineData("400161", HpackFault.Truncated)]
    [InlineData("40016102", HpackFault.Truncated)]
    [InlineData("400161827f", HpackFault.Truncated)]
    [InlineData("400161811c", HpackFault.BadHuffmanCode)]
    [InlineData("40811c0161", HpackFault.BadHuffmanCode)]
    [InlineData("3fe21f", HpackFault.TableSizeTooLarge)] // 4097
    [InlineData("8220", HpackFault.TableSizeUpdateTooLate)]
    [InlineData("203fe11f82", HpackFault.None)] // to 0, then to 4096
    [InlineData("", HpackFault.None)]
    public void Blocks_that_are_wrong(string hex, object fault) => Assert.Equal(fault, new HpackDecoder().Decode(Convert.FromHexString(hex), new HeaderBlock()));

    [Fact]
    public void Each_fault_has_its_sentence()
    {
        var faults = Enum.GetValues<HpackFault>();
        Assert.Equal(faults.Length, faults.Select(HpackFaults.Sentence).Distinct().Count());
    }

    [Fact]
    public void A_bomb_is_defused_while_it_is_read_and_the_connection_goes_on()
    {
        // One entry of nearly the whole table, then a thousand references to it: 4 MB out of 5 KB.
        var value = new byte[4000];
        byte[] block = [0x40, 1, (byte)'x', 0x7f, .. Rest(4000 - 127), .. value, .. Enumerable.Repeat((byte)0xbe, 1000)];
        var decoder = new HpackDecoder();
        var fields = new HeaderBlock();
        Assert.Equal(HpackFault.ListTooLarge, decoder.Decode(block, fields));
        Assert.True(fields.ListSize <= HttpLimits.MaxFieldList);
        Assert.True(fields.Capacity < 128 * 1024);
        fields.Clear();
        Assert.Equal(HpackFault.None, decoder.Decode([0xbe], fields));
        Assert.Equal(4000, fields[0].Value.Length);

        static byte[] Rest(int value)
        {
            var bytes = new List<byte>();
            for (; value >= 128; value >>= 7) bytes.Add((byte)(value | 128));
            bytes.Add((byte)value);
            return [.. bytes];
        }
    }

    [Fact]
    public void Many_small_fields_are_too_many()
    {
        var decoder = new HpackDecoder();
        var fields = new HeaderBlock();
        Assert.Equal(HpackFault.None, decoder.Decode(Enumerable.Repeat((byte)0x82, HttpLimits.MaxListFields).ToArray(), fields));
        fields.Clear();
        Assert.Equal(HpackFault.ListTooLarge, decoder.Decode(Enumerable.Repeat((byte)0x82, HttpLimits.MaxListFields + 1).ToArray(), fields));
        Assert.Equal(HttpLimits.MaxListFields, fields.Count);
    }

    [Fact]
    public void A_literal_may_take_its_name_from_the_entry_that_it_evicts()
    {
        // RFC 7541 section 4.4: the table holds one entry of 2,100 bytes; a second with the same name pushes it out.
        var decoder = new HpackDecoder();
        var name = new string('n', 1000);
        var fields = new HeaderBlock();
        var first = Literal(0x40, name, new string('v', 1100));
        Assert.Equal(HpackFault.None, decoder.Decode(first, fields));
        byte[] second = [0x7e, .. Literal(0, "", new string('w', 3000))[2..]];
        Assert.Equal(HpackFault.None, decoder.Decode(second, fields));
        Assert.Equal((name, 3000), (Encoding.ASCII.GetString(fields[1].Name), fields[1].Value.Length));
        Assert.Equal(0xbe, Decoded(decoder, 0xbe).Item1);

        (int, int) Decoded(HpackDecoder d, byte index)
        {
            fields.Clear();
            Assert.Equal(HpackFault.None, d.Decode([index], fields));
            Assert.Equal((1000, 3000), (fields[0].Name.Length, fields[0].Value.Length));
            return (index, fields.Count);
        }
    }

    [Fact]
    public void What_requests_share_becomes_one_byte_each()
    {
        const string Request = ":method: POST\n:scheme: http\n:path: /pkg.Service/Method\n:authority: a.example:80\ncontent-type: application/grpc\nte: trailers\nuser-agent: grpc-go/1.60\n";
        var encoder = new HpackEncoder(HuffmanUse.Never);
        var sizes = Enumerable.Range(0, 3).Select(_ => Encode(encoder, HeaderBlockText.Block(Request)).Length).ToArray();
        // Seen once, seen twice (and learnt), known.
        Assert.True(sizes[1] <= sizes[0]);
        Assert.Equal(7, sizes[2]);
    }

    [Fact]
    public void What_differs_every_time_does_not_enter_the_table()
    {
        var encoder = new HpackEncoder(HuffmanUse.Never);
        for (var i = 0; i < 500; i++) Encode(encoder, HeaderBlockText.Block($"user-agent: curl\nx-request-id: {i}-{i}-{i}\ntraceparent: 00-{i:x32}-{i:x16}-01\n:path: /users/{i}\n"));
        Assert.Single(Encode(encoder, HeaderBlockText.Block("user-agent: curl\n")));
        Assert.Equal(DynamicTable.EntryOverhead + 14, encoder.TableBytes);
    }

    [Theory]
    [InlineData("authorization: Bearer 0123456789012345678901234567890123456789\n", true)]
    [InlineData("proxy-authorization: Basic eDp5\n", true)]
    [InlineData("cookie: id=1\n", true)]
    [InlineData("cookie: id=0123456789012345678901234567890123456789\n", false)]
    [InlineData("x: y\n", false)]
    public void Secrets_are_never_indexed(string field, bool secret)
    {
        var encoder = new HpackEncoder(HuffmanUse.Never);
        var decoder = new HpackDecoder();
        for (var i = 0; i < 3; i++)
        {
            var encoded = Encode(encoder, HeaderBlockText.Block(field));
            Assert.Equal(secret, (encoded[0] & 0xf0) == 0x10);
            var fields = new HeaderBlock();
            Assert.Equal(HpackFault.None, decoder.Decode(encoded, fields));
            Assert.Equal(secret, fields[0].Flags == FieldFlags.NeverIndexed);
        }

        // What came with that wish leaves with it (RFC 7541 section 6.2.3).
        var wish = new HeaderBlock();
        wish.Add("x"u8, "y"u8, FieldFlags.NeverIndexed);
        Assert.Equal(0x10, Encode(encoder, wish)[0] & 0xf0);
    }

    [Fact]
    public void Table_size_changes_are_told_smallest_first()
    {
        var encoder = new HpackEncoder(HuffmanUse.Never);
        encoder.SetPeerTableSize(4096);
        Assert.Equal("82", Hex(":method: GET\n"));
        encoder.SetPeerTableSize(100_000);
        Assert.Equal("82", Hex(":method: GET\n"));
        encoder.SetPeerTableSize(0);
        encoder.SetPeerTableSize(100);
        Assert.Equal("203f4582", Hex(":method: GET\n"));
        Assert.Equal("82", Hex(":method: GET\n"));
        encoder.SetPeerTableSize(0);
        Assert.Equal("2082", Hex(":method: GET\n"));
        for (var i = 0; i < 3; i++) Assert.Equal("0001780179", Hex("x: y\n"));

        string Hex(string fields) => Convert.ToHexStringLower(Encode(encoder, HeaderBlockText.Block(fields)));
    }

    [Fact]
    public void The_table_is_a_ring_that_evicts_the_oldest()
    {
        var table = new DynamicTable(4096);
        var model = new LinkedList<(string Name, string Value)>();
        var random = new Random(3);
        for (var round = 0; round < 20_000; round++)
        {
            if (random.Next(500) == 0)
            {
                table.SetMaxSize(random.Next(4097));
                while (model.Sum(e => e.Name.Length + e.Value.Length + 32) > table.MaxSize) model.RemoveLast();
            }

            var known = random.Next(2) == 0;
            var name = known ? "cookie" : "x-" + new string('n', random.Next(20));
            var value = new string((char)('a' + random.Next(26)), random.Next(random.Next(20) == 0 ? 5000 : 80));
            var id = known ? FieldName.Cookie : FieldName.Other;
            table.Add(id, Encoding.ASCII.GetBytes(name), Encoding.ASCII.GetBytes(value), Hash(name, value), Hash(name, ""));
            model.AddFirst((name, value));
            while (model.Count > 0 && model.Sum(e => e.Name.Length + e.Value.Length + 32) > table.MaxSize) model.RemoveLast();
            Assert.Equal((model.Count, model.Sum(e => e.Name.Length + e.Value.Length + 32)), (table.Count, table.Size));
            if (round % 50 != 0) continue;
            var index = 0;
            foreach (var (modelName, modelValue) in model)
            {
                Assert.Equal((modelName, modelValue), Entry(table, index));
                var found = table.Find(Hash(modelName, modelValue), table.Known(index), Encoding.ASCII.GetBytes(modelName), Encoding.ASCII.GetBytes(modelValue));
                Assert.Equal((modelName, modelValue), Entry(table, found));
                Assert.Equal(modelName, Entry(table, table.FindName(Hash(modelName, ""), table.Known(index), Encoding.ASCII.GetBytes(modelName))).Name);
                index++;
            }

            Assert.Equal(-1, table.Find(Hash("no", "no"), FieldName.Other, "no"u8, "no"u8));
        }

        // Few values, so that different entries share one.
        static uint Hash(string name, string value) => (uint)((name.Length + value.Length) % 7 + 1);
    }

    [Theory]
    [InlineData(HuffmanUse.Never)]
    [InlineData(HuffmanUse.WhenShorter)]
    public void Random_lists_come_back_over_many_blocks(object huffman)
    {
        var random = new Random(8);
        var encoder = new HpackEncoder((HuffmanUse)huffman);
        var decoder = new HpackDecoder();
        string[] names = [":method", ":path", ":status", "cookie", "authorization", "accept-encoding", "x-a", "x-b", "te", "content-length", "l5d-client-id"];
        string[] values = ["", "GET", "/", "200", "gzip, deflate", "a", "0123456789", "\u00e9\u0001", new('z', 300)];
        for (var round = 0; round < 5_000; round++)
        {
            if (random.Next(100) == 0) encoder.SetPeerTableSize((uint)random.Next(5000));
            var fields = new HeaderBlock();
            for (var i = random.Next(12); i > 0; i--)
            {
                var value = random.Next(3) == 0 ? new string((char)random.Next(32, 127), random.Next(60)) : values[random.Next(values.Length)];
                fields.Add(Encoding.ASCII.GetBytes(random.Next(8) == 0 ? "x-" + random.Next(1000) : names[random.Next(names.Length)]), Encoding.Latin1.GetBytes(value));
            }

            var decoded = new HeaderBlock();
            Assert.Equal(HpackFault.None, decoder.Decode(Encode(encoder, fields), decoded));
            Assert.Equal(fields.Text(), decoded.Text());
            Assert.Equal(encoder.TableBytes, decoder.TableBytes);
        }
    }

    [Fact]
    public void No_bytes_break_it()
    {
        var random = new Random(9);
        var seeds = new[] { "828684410f7777772e6578616d706c652e636f6d", "3fe1014803333032", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", "88c16196d07abe941054d444a8200595040b8166e084a62d1bff" }
            .Select(Convert.FromHexString).ToArray();
        var decoder = new HpackDecoder();
        for (var round = 0; round < 30_000; round++)
        {
            var bytes = (byte[])seeds[random.Next(seeds.Length)].Clone();
            for (var i = random.Next(4); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (!Fuzz(bytes.AsSpan(0, random.Next(bytes.Length + 1)), decoder)) decoder = new HpackDecoder();
        }
    }

    /// <summary>The fuzz target: any block gives a fault or a list within its limits; false when the decoder is lost.</summary>
    internal static bool Fuzz(ReadOnlySpan<byte> block, HpackDecoder decoder)
    {
        var fields = new HeaderBlock();
        var fault = decoder.Decode(block, fields);
        Assert.True(fields.ListSize <= HttpLimits.MaxFieldList);
        Assert.True(decoder.TableBytes is >= 0 and <= HpackDecoder.TableSize);
        return fault is HpackFault.None or HpackFault.ListTooLarge;
    }

    internal static byte[] Encode(HpackEncoder encoder, HeaderBlock fields)
    {
        var buffer = new byte[HpackEncoder.MaxSize(fields)];
        return buffer[..encoder.Encode(fields, buffer)];
    }

    private static (string Name, string Value) Entry(DynamicTable table, int index)
    {
        var name = new byte[table.NameLength(index)];
        if (table.Known(index) == FieldName.Other) table.CopyName(index, name);
        else FieldNames.Bytes(table.Known(index)).CopyTo(name);
        var value = new byte[table.ValueLength(index)];
        table.CopyValue(index, value);
        return (Encoding.ASCII.GetString(name), Encoding.ASCII.GetString(value));
    }

    private static byte[] Literal(byte pattern, string name, string value)
    {
        var bytes = new byte[name.Length + value.Length + 16];
        bytes[0] = pattern;
        var at = 1;
        at += HpackInteger.Write(bytes.AsSpan(at), name.Length, 7, 0);
        at += Encoding.ASCII.GetBytes(name, bytes.AsSpan(at));
        at += HpackInteger.Write(bytes.AsSpan(at), value.Length, 7, 0);
        at += Encoding.ASCII.GetBytes(value, bytes.AsSpan(at));
        return bytes[..at];
    }
}
