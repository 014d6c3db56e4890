namespace Mesh.Bench;

/// <summary>Options of a benchmark: <c>--name value</c>.</summary>
internal static class Options
{
    public static string? Of(string[] arguments, string name) => arguments.SkipWhile(a => a != name).Skip(1).FirstOrDefault();

    /// <summary>A list separated by commas; <paramref name="all"/> when the option is not there.</summary>
    public static IReadOnlyList<string> ListOf(string[] arguments, string name, params string[] all) => Of(arguments, name)?.Split(',') ?? all;

    /// <summary>How often everything is measured.</summary>
    public static int Rounds(string[] arguments) => Of(arguments, "--rounds") is { } rounds ? int.Parse(rounds, System.Globalization.CultureInfo.InvariantCulture) : 5;
}
