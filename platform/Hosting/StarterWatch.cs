namespace Mesh.Hosting;

/// <summary>
/// Ties a program to the one that started it. Where <see cref="Variable"/> is "1", standard input is a pipe of the starter's: it ends when the
/// starter does, however that came about, and then we stop as if told to. In a container nobody sets it, and standard input is not looked at.
/// </summary>
internal static class StarterWatch
{
    public const string Variable = "MESH_STOP_AT_END_OF_INPUT";

    /// <summary>Calls <paramref name="ended"/> once, from a thread of its own, when the starter has gone.</summary>
    public static void Begin(Action ended)
    {
        if (Environment.GetEnvironmentVariable(Variable) != "1") return;
        // A blocking read: the base library has no other for a pipe that is inherited, and the thread does nothing else.
        new Thread(() =>
        {
            using var input = Console.OpenStandardInput();
            Span<byte> ignored = stackalloc byte[64];
            while (input.Read(ignored) > 0) { }
            ended();
        })
        { IsBackground = true, Name = "starter" }.Start();
    }
}
