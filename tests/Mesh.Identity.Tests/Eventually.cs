namespace Mesh.Identity.Tests;

/// <summary>Waits for something that another thread or the file system's notification brings about.</summary>
internal static class Eventually
{
    public static async Task True(Func<bool> condition, string what)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition())
        {
            if (deadline.IsCancellationRequested) Assert.Fail($"did not happen within 30 s: {what}");
            await Task.Delay(5);
        }
    }
}
