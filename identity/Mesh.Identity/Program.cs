namespace Mesh.Identity;

internal static class Program
{
    private static int Main() => 70;
}
