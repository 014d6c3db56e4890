using System.Runtime.InteropServices;
using Mesh.Testing;

namespace Mesh.Proxy.Tests;

/// <summary>
/// A network of its own, with the name and tools of ip-netns(8). A thread that enters it makes its sockets there: so the redirection of a pod
/// is tested with a pod's rules and nothing of this machine is touched.
/// </summary>
internal sealed partial class NetworkNamespace : IAsyncDisposable
{
    private const int CloneNewNetwork = 0x40000000;
    private static int s_counter;

    private NetworkNamespace(string name) => Name = name;

    public string Name { get; }

    /// <summary>Why there are no network namespaces here; null when there are.</summary>
    public static async Task<string?> MissingAsync()
    {
        if (Environment.UserName != "root") return "needs root for network namespaces";
        foreach (var program in (string[])["ip", "iptables"])
            if (!File.Exists($"/usr/sbin/{program}") && !File.Exists($"/sbin/{program}")) return $"needs {program}";
        await using var probe = await CreateAsync();
        foreach (var program in (string[])["iptables", "ip6tables"])
        {
            var rules = await ProgramRun.OfAsync("ip", ["netns", "exec", probe.Name, program, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-port", "1"]);
            if (rules.ExitCode != 0) return $"needs {program} with REDIRECT: {rules.Errors.Trim()}";
        }

        return null;
    }

    public static async Task<NetworkNamespace> CreateAsync()
    {
        var network = new NetworkNamespace($"mesh-test-{Environment.ProcessId}-{Interlocked.Increment(ref s_counter)}");
        await RunAsync("ip", "netns", "add", network.Name);
        await network.ExecAsync("ip", "link", "set", "lo", "up");
        return network;
    }

    public Task ExecAsync(params string[] command) => RunAsync("ip", ["netns", "exec", Name, .. command]);

    /// <summary>A cable between two networks, with an address at each end.</summary>
    public static async Task ConnectAsync(NetworkNamespace left, string leftAddress, NetworkNamespace right, string rightAddress)
    {
        await RunAsync("ip", "link", "add", "veth0", "netns", left.Name, "type", "veth", "peer", "name", "veth0", "netns", right.Name);
        foreach (var (network, address) in new[] { (left, leftAddress), (right, rightAddress) })
        {
            await network.ExecAsync("ip", "address", "add", address, "dev", "veth0", "nodad");
            await network.ExecAsync("ip", "link", "set", "veth0", "up");
        }
    }

    /// <summary>From here on the calling thread makes its sockets in this network; it must not go back to the pool.</summary>
    public void Enter()
    {
        using var handle = File.OpenHandle($"/run/netns/{Name}");
        if (setns(handle.DangerousGetHandle().ToInt32(), CloneNewNetwork) != 0) throw new IOException($"setns: errno {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>Runs <paramref name="work"/> on a thread of its own within the network.</summary>
    public Task<T> OnAsync<T>(Func<T> work) => Task.Factory.StartNew(
        () =>
        {
            var result = default(T)!;
            Exception? fault = null;
            var thread = new Thread(() =>
            {
                try
                {
                    Enter();
                    result = work();
                }
                catch (Exception thrown)
                {
                    fault = thrown;
                }
            });
            thread.Start();
            thread.Join();
            return fault is null ? result : throw new InvalidOperationException(fault.Message, fault);
        },
        CancellationToken.None,
        TaskCreationOptions.LongRunning,
        TaskScheduler.Default);

    public async ValueTask DisposeAsync() => await RunAsync("ip", "netns", "delete", Name);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        var run = await ProgramRun.OfAsync(program, arguments);
        if (run.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {run.Errors}");
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setns(int fd, int kind);
}
