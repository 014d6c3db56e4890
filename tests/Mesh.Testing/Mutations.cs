namespace Mesh.Testing;

/// <summary>Inputs for fuzz targets, the same in every run: nothing, a real input and its beginnings, noise, and the real one bent and spliced.</summary>
public static class Mutations
{
    private const int Seed = 20260101;

    public static IEnumerable<byte[]> Of(byte[] real, int rounds)
    {
        yield return [];
        for (var length = 1; length <= real.Length; length += 1 + (real.Length / 500)) yield return real[..length];
        yield return real;
        var random = new Random(Seed);
        for (var i = 0; i < rounds; i++)
        {
            if (i % 4 == 0)
            {
                var noise = new byte[random.Next(1024)];
                random.NextBytes(noise);
                yield return noise;
            }

            var bent = (byte[])real.Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--) bent[random.Next(bent.Length)] ^= (byte)(1 << random.Next(8));
            if (random.Next(4) == 0) bent = [.. bent[..random.Next(bent.Length)], .. bent[random.Next(bent.Length)..]];
            yield return bent;
        }
    }
}
