using System.Diagnostics;

namespace Mesh.Cli.Demo;

/// <summary>
/// Removes a directory with keys in it also where we are killed and cannot: a shell waits for the end of its input, which comes with ours. It is
/// started before there is anything to remove, and signals of the terminal, which go to all programs there, do not end it.
/// </summary>
internal sealed class Sweeper : IDisposable
{
    private const string Script = "trap '' HUP INT TERM; exec >/dev/null 2>&1; cat; rm -rf -- \"$1\"";

    private readonly Process _shell;

    public Sweeper(string directory)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", Script, "sh", directory]) { RedirectStandardInput = true };
        _shell = Process.Start(start) ?? throw new CommandRefusedException("/bin/sh did not run");
    }

    /// <summary>Lets it do its work now; returns when the directory is gone.</summary>
    public void Dispose()
    {
        _shell.StandardInput.Close();
        _shell.WaitForExit();
        _shell.Dispose();
    }
}
