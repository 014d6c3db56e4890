using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;

namespace Mesh.Proxy.Tests.Http.Hpack;

/// <summary>RFC 7541 appendix C, decoded.</summary>
public sealed class Rfc7541ExampleTests
{
    private const string First = ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n";
    private const string Second = First + "cache-control: no-cache\n";
    private const string Third = ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n";

    private const string FirstResponse = ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n";
    private const string SecondResponse = ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n";

    private const string ThirdResponse = ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\n"
        + "content-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n";

    [Theory]
    [InlineData(5, "0a", 10)]
    [InlineData(5, "1f9a0a", 1337)]
    [InlineData(8, "2a", 42)]
    public void C_1_integers(int prefix, string hex, int value)
    {
        var bytes = Convert.FromHexString(hex);
        var at = 0;
        Assert.Equal(HpackFault.None, HpackInteger.Read(bytes, ref at, prefix, out var read));
        Assert.Equal((value, bytes.Length), (read, at));
        var written = new byte[HpackInteger.MaxLength];
        Assert.Equal(bytes, written[..HpackInteger.Write(written, value, prefix, 0)]);
    }

    [Theory]
    [InlineData("400a637573746f6d2d6b65790d637573746f6d2d686561646572", "custom-key: custom-header\n", 55)]
    [InlineData("040c2f73616d706c652f70617468", ":path: /sample/path\n", 0)]
    [InlineData("100870617373776f726406736563726574", "password: secret\n", 0)]
    [InlineData("82", ":method: GET\n", 0)]
    public void C_2_fields(string hex, string fields, int table)
    {
        var block = new HeaderBlock();
        var decoder = new HpackDecoder();
        Assert.Equal(HpackFault.None, decoder.Decode(Convert.FromHexString(hex), block));
        Assert.Equal((fields, table), (block.Text(), decoder.TableBytes));
        Assert.Equal(hex[0] == '1' ? FieldFlags.NeverIndexed : FieldFlags.None, block[0].Flags);
    }

    [Fact]
    public void C_3_requests_without_huffman() => Check(
        [
            ("828684410f7777772e6578616d706c652e636f6d", First, 57),
            ("828684be58086e6f2d6361636865", Second, 110),
            ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", Third, 164),
        ]);

    [Fact]
    public void C_4_requests_with_huffman() => Check(
        [
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", First, 57),
            ("828684be5886a8eb10649cbf", Second, 110),
            ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", Third, 164),
        ]);

    // The examples of C.5 and C.6 have a table of 256 bytes, which the update 3fe101 in front makes here.
    [Fact]
    public void C_5_responses_without_huffman() => Check(
        [
            ("3fe101" + "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d", FirstResponse, 222),
            ("4803333037c1c0bf", SecondResponse, 222),
            ("88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31", ThirdResponse, 215),
        ]);

    [Fact]
    public void C_6_responses_with_huffman() => Check(
        [
            ("3fe101" + "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3", FirstResponse, 222),
            ("4883640effc1c0bf", SecondResponse, 222),
            ("88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007", ThirdResponse, 215),
        ]);

    private static void Check((string Hex, string Fields, int Table)[] blocks)
    {
        var decoder = new HpackDecoder();
        foreach (var (hex, fields, table) in blocks)
        {
            var block = new HeaderBlock();
            Assert.Equal(HpackFault.None, decoder.Decode(Convert.FromHexString(hex), block));
            Assert.Equal((fields, table), (block.Text(), decoder.TableBytes));
        }
    }
}
