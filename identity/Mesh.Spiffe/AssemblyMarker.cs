namespace Mesh.Spiffe;

internal static class AssemblyMarker;
