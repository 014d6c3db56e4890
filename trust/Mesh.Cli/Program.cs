namespace Mesh.Cli;

internal static class Program
{
    private static int Main() => 70;
}
