namespace Mesh.Proxy.Metrics;

/// <summary>How names of the code become values of labels.</summary>
internal static class LabelText
{
    public static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => char.IsUpper(c) ? (i == 0 ? "" : "_") + char.ToLowerInvariant(c) : c.ToString()));
}
