namespace Mesh.Destination;

internal static class Program
{
    private static int Main() => 70;
}
