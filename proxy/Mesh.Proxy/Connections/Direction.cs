namespace Mesh.Proxy.Connections;

internal enum Direction
{
    Inbound = 0,
    Outbound = 1,
}

internal static class DirectionText
{
    public static string Label(this Direction direction) => direction == Direction.Inbound ? "inbound" : "outbound";
}
