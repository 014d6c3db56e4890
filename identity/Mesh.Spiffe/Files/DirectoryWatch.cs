using System.Threading.Channels;

namespace Mesh.Spiffe.Files;

/// <summary>
/// Says when it is time to look at a directory again: when the system reports a change, and in any case after a period, because
/// notifications get lost (network file systems, exchanged mounts, a directory that did not exist yet, a full inotify table).
/// </summary>
public sealed class DirectoryWatch : IDisposable
{
    /// <summary>An update is often several writes; waiting for their end spares a reading of the half.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(50);

    private readonly string _directory;
    private readonly TimeSpan _period;
    private readonly TimeProvider _time;
    private readonly Channel<bool> _signals = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private FileSystemWatcher? _watcher;

    public DirectoryWatch(string directory, TimeSpan period, TimeProvider time)
    {
        _directory = directory;
        _period = period;
        _time = time;
        Start();
    }

    /// <summary>Whether the system reports changes now; otherwise the period alone is at work.</summary>
    public bool IsNotified => _watcher is not null;

    /// <summary>Asks for a look before the next change or period.</summary>
    public void Signal() => _signals.Writer.TryWrite(true);

    /// <summary>Returns when the directory should be looked at.</summary>
    public async Task WaitAsync(CancellationToken ct)
    {
        if (_watcher is null) Start();
        using var period = new CancellationTokenSource(_period, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, period.Token);
        try
        {
            await _signals.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return;
        }

        await Task.Delay(Settle, _time, ct);
        _signals.Reader.TryRead(out _);
    }

    public void Dispose() => _watcher?.Dispose();

    private void Start()
    {
        if (!Directory.Exists(_directory)) return;
        try
        {
            var watcher = new FileSystemWatcher(_directory) { NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.Size };
            watcher.Created += (_, _) => Signal();
            watcher.Changed += (_, _) => Signal();
            watcher.Deleted += (_, _) => Signal();
            watcher.Renamed += (_, _) => Signal();
            watcher.Error += (_, _) => Restart(watcher);
            watcher.EnableRaisingEvents = true;
            _watcher = watcher;
            // What changed between the last look and now was not reported.
            Signal();
        }
        catch (Exception unavailable) when (unavailable is IOException or ArgumentException or UnauthorizedAccessException)
        {
            // No watch to be had (the inotify limit, the directory gone meanwhile): the period does it.
            _watcher = null;
        }
    }

    private void Restart(FileSystemWatcher failed)
    {
        failed.Dispose();
        _watcher = null;
        Signal();
    }
}
