namespace Mesh.Spiffe.Tests;

public sealed class TrustDomainTests
{
    [Theory]
    [InlineData("trustdomain")]
    [InlineData("spiffe://trustdomain")]
    [InlineData("spiffe://trustdomain/path")]
    public void Reads_a_name_or_takes_it_from_an_id(string text) => Assert.Equal("trustdomain", TrustDomain.Parse(text).Name);

    [Theory]
    [InlineData(null, SpiffeIdFault.Empty)]
    [InlineData("", SpiffeIdFault.Empty)]
    [InlineData("Trustdomain", SpiffeIdFault.BadTrustDomainCharacter)]
    [InlineData("trustdomain/path", SpiffeIdFault.BadTrustDomainCharacter)]
    [InlineData("spiffe:trustdomain", SpiffeIdFault.BadTrustDomainCharacter)]
    [InlineData("http://trustdomain", SpiffeIdFault.WrongScheme)]
    [InlineData("://trustdomain", SpiffeIdFault.WrongScheme)]
    [InlineData("spiffe://", SpiffeIdFault.EmptyTrustDomain)]
    [InlineData("spiffe://trustdomain/", SpiffeIdFault.TrailingSlash)]
    [InlineData("spiffe://trustdomain/path$", SpiffeIdFault.BadPathCharacter)]
    public void Rejects_what_is_neither(string? text, SpiffeIdFault expected)
    {
        Assert.False(TrustDomain.TryParse(text, out var trustDomain, out var fault));
        Assert.Null(trustDomain);
        Assert.Equal(expected, fault);
        if (text is not null) Assert.Equal(expected.Sentence(), Assert.Throws<FormatException>(() => TrustDomain.Parse(text)).Message);
    }

    [Fact]
    public void Is_equal_by_name_and_prints_it()
    {
        Assert.Equal(TrustDomain.Parse("td"), TrustDomain.Parse("spiffe://td/a"));
        Assert.NotEqual(TrustDomain.Parse("td"), TrustDomain.Parse("te"));
        Assert.Equal("td", TrustDomain.Parse("td").ToString());
    }
}
