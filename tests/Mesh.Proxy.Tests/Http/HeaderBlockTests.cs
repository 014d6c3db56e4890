using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Tests.Http;

public sealed class HeaderBlockTests
{
    [Fact]
    public void Every_known_name_is_found_by_its_bytes_and_stands_for_itself()
    {
        var names = Enum.GetValues<FieldName>();
        Assert.Equal(names.Length, FieldNames.Count);
        foreach (var name in names.Skip(1))
        {
            var text = Encoding.ASCII.GetString(FieldNames.Bytes(name));
            Assert.Equal(name, FieldNames.Find(FieldNames.Bytes(name)));
            var letters = text.Replace(":", "", StringComparison.Ordinal).Replace("-bin", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal);
            Assert.Equal(name.ToString(), letters, ignoreCase: true);
        }

        Assert.Equal(FieldName.Other, FieldNames.Find("x-unknown"u8));
        Assert.Equal(FieldName.Other, FieldNames.Find(""u8));
    }

    [Fact]
    public void Keeps_fields_in_order_and_finds_them()
    {
        var block = new HeaderBlock();
        block.Add("x-one"u8, "1"u8);
        block.Add(FieldName.Accept, "a"u8);
        block.Add("accept"u8, "b"u8);
        block.Add("x-one"u8, ""u8, FieldFlags.NeverIndexed);
        Assert.Equal("x-one: 1\naccept: a\naccept: b\nx-one: \n", block.Text());
        Assert.Equal((1, 2, -1), (block.Find(FieldName.Accept), block.Find(FieldName.Accept, 2), block.Find(FieldName.Accept, 3)));
        Assert.Equal((0, 1, -1), (block.Find("x-one"u8), block.Find("accept"u8), block.Find("x-two"u8)));
        Assert.Equal(FieldFlags.NeverIndexed, block[3].Flags);
        Assert.Equal(5 + 1 + 6 + 1 + 6 + 1 + 5 + 4 * 32, block.ListSize);
        Assert.Equal("a", Encoding.ASCII.GetString(block.ValueOf(FieldName.Accept)));
        Assert.True(block.ValueOf(FieldName.Cookie).IsEmpty);
    }

    [Fact]
    public void Removes_sets_and_puts_in_front()
    {
        var block = new HeaderBlock();
        foreach (var value in new[] { "a", "b", "c" }) block.Add(FieldName.Cookie, Encoding.ASCII.GetBytes(value));
        block.Add("x"u8, "1"u8);
        block.Set(FieldName.Cookie, "all"u8);
        Assert.Equal("cookie: all\nx: 1\n", block.Text());
        block.Set(FieldName.TraceParent, "t"u8);
        block.AddFirst(FieldName.Status, "200"u8);
        block.Remove("x"u8);
        Assert.Equal(":status: 200\ncookie: all\ntraceparent: t\n", block.Text());
        block.Remove("cookie"u8);
        Assert.False(block.Contains(FieldName.Cookie));
        Assert.True(block.Contains(FieldName.TraceParent));
        block.Clear();
        Assert.False(block.Contains(FieldName.TraceParent));
        Assert.Equal("", block.Text());
    }

    [Theory]
    [InlineData("cookie: a\nx: 1\ncookie: b\n", "cookie: a; b\nx: 1\n")]
    [InlineData("cookie: \ncookie: a\ncookie: \ncookie: b\ncookie: \n", "cookie: a; b\n")]
    [InlineData("cookie: \ncookie: \n", "cookie: \n")]
    [InlineData("cookie: a\n", "cookie: a\n")]
    [InlineData("x: 1\n", "x: 1\n")]
    public void Crumbs_become_one_cookie(string fields, string joined)
    {
        var block = HeaderBlockText.Block(fields);
        block.Join(FieldName.Cookie, "; "u8);
        Assert.Equal(joined, block.Text());
    }

    [Fact]
    public void Grows_past_what_it_began_with_and_may_copy_its_own_values()
    {
        var block = new HeaderBlock();
        var text = new StringBuilder();
        for (var i = 0; i < 200; i++)
        {
            block.Add(Encoding.ASCII.GetBytes($"x-{i}"), new byte[i].Select(_ => (byte)'v').ToArray());
            text.Append("x-").Append(i).Append(": ").Append('v', i).Append('\n');
        }

        for (var i = 0; i < 100; i++) block.AddOther("copy"u8, block.Value(199));
        for (var i = 0; i < 100; i++) text.Append("copy: ").Append('v', 199).Append('\n');
        Assert.Equal(text.ToString(), block.Text());
        var other = new HeaderBlock();
        block.CopyTo(other);
        Assert.Equal(text.ToString(), other.Text());
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("example.com:8080", true)]
    [InlineData("example.com:", true)]
    [InlineData("[::1]:80", true)]
    [InlineData("[fe80::1]", true)]
    [InlineData("a_b.svc.cluster.local", true)]
    [InlineData("", false)]
    [InlineData(":80", false)]
    [InlineData("[]", false)]
    [InlineData("[::1", false)]
    [InlineData("[::1]80", false)]
    [InlineData("::1", false)]
    [InlineData("a:b", false)]
    [InlineData("a:80:80", false)]
    [InlineData("a:123456", false)]
    [InlineData("user@a", false)]
    [InlineData("a/b", false)]
    [InlineData("a?b", false)]
    [InlineData("a#b", false)]
    [InlineData("a b", false)]
    [InlineData("a,b", false)]
    [InlineData("a\\b", false)]
    [InlineData("ä", false)]
    public void An_authority_is_a_host_and_perhaps_a_port(string text, bool valid) =>
        Assert.Equal(valid, FieldSyntax.IsAuthority(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Numbers_are_digits_only()
    {
        foreach (var bad in new[] { "", "+1", "-1", " 1", "1 ", "0x1", "1,1", "1.0", "9999999999999999999" })
            Assert.False(FieldSyntax.TryParseNumber(Encoding.ASCII.GetBytes(bad), out _), bad);
        Assert.True(FieldSyntax.TryParseNumber("999999999999999999"u8, out var number));
        Assert.Equal(999999999999999999, number);
    }
}

internal static class HeaderBlockText
{
    /// <summary>One "name: value" line a field; bytes as Latin-1.</summary>
    public static string Text(this HeaderBlock block)
    {
        var text = new StringBuilder();
        for (var i = 0; i < block.Count; i++)
            text.Append(Encoding.Latin1.GetString(block[i].Name)).Append(": ").Append(Encoding.Latin1.GetString(block[i].Value)).Append('\n');
        return text.ToString();
    }

    /// <summary>The opposite of <see cref="Text"/>; names may be pseudo-fields.</summary>
    public static HeaderBlock Block(string text)
    {
        var block = new HeaderBlock();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = line.IndexOf(": ", 1, StringComparison.Ordinal);
            block.Add(Encoding.Latin1.GetBytes(line[..colon]), Encoding.Latin1.GetBytes(line[(colon + 2)..]));
        }

        return block;
    }
}
