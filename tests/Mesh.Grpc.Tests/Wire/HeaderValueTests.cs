using Mesh.Grpc.Wire;

namespace Mesh.Grpc.Tests.Wire;

public sealed class HeaderValueTests
{
    [Theory]
    [InlineData("1H", 3600.0)]
    [InlineData("2M", 120.0)]
    [InlineData("3S", 3.0)]
    [InlineData("4m", 0.004)]
    [InlineData("5u", 0.000005)]
    [InlineData("600n", 0.0000006)]
    [InlineData("00000001S", 1.0)]
    [InlineData("99999999H", 8_640_000.0)]
    public void A_timeout_is_read(string text, double seconds)
    {
        Assert.True(GrpcTimeout.TryParse(text, out var timeout));
        Assert.Equal(seconds, timeout.TotalSeconds, 9);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("S")]
    [InlineData("1 S")]
    [InlineData("+1S")]
    [InlineData("1.5S")]
    [InlineData("١S")]
    [InlineData("000000001S")]
    [InlineData("1s")]
    public void A_malformed_timeout_is_refused(string text) => Assert.False(GrpcTimeout.TryParse(text, out _));

    [Theory]
    [InlineData(0L, "1n")]
    [InlineData(-5L, "1n")]
    [InlineData(1L, "100n")]
    [InlineData(999_999L, "99999900n")]
    [InlineData(1_000_000L, "100000u")]
    [InlineData(10_000_000L, "1000000u")]
    [InlineData(1_000_000_001L, "100001m")]
    [InlineData(864_000_000_000L, "86400000m")]
    [InlineData(36_000_000_000_000L, "3600000S")]
    public void A_timeout_is_written_in_the_finest_unit_that_fits(long ticks, string expected) => Assert.Equal(expected, GrpcTimeout.Format(TimeSpan.FromTicks(ticks)));

    [Fact]
    public void A_written_timeout_is_never_shorter_than_asked()
    {
        var random = new Random(7);
        for (var i = 0; i < 10_000; i++)
        {
            var timeout = TimeSpan.FromTicks(random.NextInt64(1, TimeSpan.FromDays(99).Ticks >> random.Next(40)) + 1);
            Assert.True(GrpcTimeout.TryParse(GrpcTimeout.Format(timeout), out var read));
            Assert.True(read >= timeout);
            Assert.True(read.Ticks - timeout.Ticks <= timeout.Ticks / 1000 + 10);
        }
    }

    [Theory]
    [InlineData("plain words", "plain words")]
    [InlineData("100 %", "100 %25")]
    [InlineData("a\nb", "a%0Ab")]
    [InlineData("ü🙂", "%C3%BC%F0%9F%99%82")]
    [InlineData("", "")]
    public void A_sentence_is_escaped_and_read_back(string text, string expected)
    {
        Assert.Equal(expected, GrpcMessageText.Encode(text));
        Assert.Equal(text, GrpcMessageText.Decode(expected));
    }

    [Theory]
    [InlineData("50%", "50%")]
    [InlineData("%4", "%4")]
    [InlineData("%zz%41", "%zzA")]
    public void A_bad_escape_is_kept(string value, string expected) => Assert.Equal(expected, GrpcMessageText.Decode(value));

    [Fact]
    public void A_long_sentence_is_cut_between_characters()
    {
        var encoded = GrpcMessageText.Encode(new string('a', GrpcMessageText.MaxBytes - 4) + "üü");
        Assert.InRange(encoded.Length, 1, GrpcMessageText.MaxBytes);
        Assert.EndsWith("a", encoded, StringComparison.Ordinal);
        Assert.Equal(GrpcMessageText.MaxBytes, GrpcMessageText.Encode(new string('a', 10_000)).Length);
    }
}
