using System.Globalization;
using System.Net;

namespace Mesh.IntegrationTests.Interop;

/// <summary>The Debian trixie root that tests/interop/trixie/make-root.sh makes. Programs in it use this machine's kernel and network.</summary>
internal static class TrixieRoot
{
    public static string Directory { get; } = Path.Combine(
        Environment.GetEnvironmentVariable("MESH_TEST_TOOLS")
            ?? Path.Combine(
                Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
                "mesh-tests"),
        "trixie");

    /// <summary>A directory of its own inside the root. Skips the test, with the reason, where there is no root or it cannot be entered.</summary>
    public static TrixieRoom Enter()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "entering another root needs root");
        Assert.SkipUnless(File.Exists(Path.Combine(Directory, "usr/bin/openssl")), $"no Debian trixie root in {Directory}; tests/interop/trixie/make-root.sh makes one where debootstrap is installed");
        Assert.SkipUnless(MayMount(), "mounting /proc inside another root is not allowed here (CAP_SYS_ADMIN)");
        return new TrixieRoom();
    }

    /// <summary>The path by which a program inside the root knows a file that lies in it.</summary>
    public static string Inside(string path)
    {
        if (!path.StartsWith(Directory + "/", StringComparison.Ordinal)) throw new ArgumentException($"{path} does not lie in {Directory}", nameof(path));
        return path[Directory.Length..];
    }

    /// <summary>Waits until somebody listens on a loopback port, without connecting: a server that takes one connection would count that one.</summary>
    public static async Task ListensAsync(IPEndPoint address, CancellationToken ct)
    {
        // Columns of /proc/net/tcp: number, local address, remote address, state (0A is listening), …
        var port = address.Port.ToString("X4", CultureInfo.InvariantCulture);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!File.ReadLines("/proc/net/tcp").Any(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var local, _, "0A", ..] && local.EndsWith(":" + port, StringComparison.Ordinal)))
            await tick.WaitForNextTickAsync(ct);
    }

    // A container's root may be one without the right to mount.
    private static bool MayMount()
    {
        const int SysAdmin = 21; // capabilities(7), linux/capability.h
        var effective = File.ReadLines("/proc/self/status").First(l => l.StartsWith("CapEff:", StringComparison.Ordinal))["CapEff:".Length..].Trim();
        return (ulong.Parse(effective, NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> SysAdmin & 1) == 1;
    }
}

/// <summary>A directory inside the trixie root, removed at the end of the test.</summary>
internal sealed class TrixieRoom : IDisposable
{
    private readonly string _path = Path.Combine(TrixieRoot.Directory, "tmp", "mesh-test-" + Path.GetRandomFileName());

    public TrixieRoom() => System.IO.Directory.CreateDirectory(_path);

    public string File(string name) => Path.Combine(_path, name);

    public void Dispose() => System.IO.Directory.Delete(_path, recursive: true);
}
