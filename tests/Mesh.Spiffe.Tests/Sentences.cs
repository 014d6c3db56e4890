namespace Mesh.Spiffe.Tests;

internal static class Sentences
{
    public static void AssertDistinct<T>(Func<T, string> sentence)
        where T : struct, Enum
    {
        var sentences = Enum.GetValues<T>().Select(sentence).ToArray();
        Assert.All(sentences, s => Assert.Matches("^[A-Z].*\\.$", s));
        Assert.Equal(sentences.Length, sentences.Distinct().Count());
        Assert.Throws<ArgumentOutOfRangeException>(() => sentence((T)Enum.ToObject(typeof(T), 9999)));
    }
}
