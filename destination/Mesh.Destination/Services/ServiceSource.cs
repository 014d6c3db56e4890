using System.Collections.Immutable;
using Mesh.Spiffe.Files;
using Microsoft.Extensions.Logging;

namespace Mesh.Destination.Services;

/// <summary>Follows the service file: by notification and every few seconds besides. A bad update changes nothing but the log and a counter.</summary>
internal sealed partial class ServiceSource : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private readonly string _path;
    private readonly ILogger _log;
    private readonly DirectoryWatch _watch;
    private volatile ServiceTable? _current;
    private string? _lastText;
    private string? _lastProblem;

    public ServiceSource(string path, TimeProvider time, ILogger log)
    {
        _path = Path.GetFullPath(path);
        _log = log;
        _watch = new DirectoryWatch(Path.GetDirectoryName(_path)!, Period, time);
        Read();
    }

    /// <summary>The newest good table; null before the first.</summary>
    public ServiceTable? Current => _current;

    /// <summary>Why the newest content of the file is not in force; null when it is.</summary>
    public string? Problem { get; private set; }

    /// <summary>How often a changed file was taken, and how often it was not.</summary>
    public long Accepted { get; private set; }

    /// <inheritdoc cref="Accepted"/>
    public long Refused { get; private set; }

    /// <summary>Raised after <see cref="Current"/> has changed, on the loop's thread.</summary>
    public event Action<ServiceTable>? Changed;

    /// <summary>Follows the file until <paramref name="ct"/> fires.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await _watch.WaitAsync(ct);
                Read();
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Asked to stop.
        }
    }

    public void Dispose() => _watch.Dispose();

    private void Read()
    {
        string text;
        try
        {
            text = MountedFile.ReadText(_path);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            Refuse([failed.Message]);
            _lastText = null;
            return;
        }

        if (text == _lastText) return;
        _lastText = text;
        if (ServiceFile.Parse(text, out var faults) is not { } table)
        {
            Refuse(faults);
            return;
        }

        Problem = _lastProblem = null;
        Accepted++;
        _current = table;
        Log.Accepted(_log, table.Services.Length, table.EndpointCount, _path);
        Changed?.Invoke(table);
    }

    private void Refuse(ImmutableArray<string> faults)
    {
        Problem = $"{_path}: {string.Join("; ", faults)}";
        if (Problem == _lastProblem) return;
        _lastProblem = Problem;
        Refused++;
        Log.Refused(_log, _path, string.Join("; ", faults), _current is null ? "there is nothing to serve yet" : "the last good content stays in force");
    }

    private static partial class Log
    {
        [LoggerMessage(4101, LogLevel.Information, "{Services} services with {Endpoints} endpoints from {Path}", EventName = "ServicesAccepted")]
        public static partial void Accepted(ILogger log, int services, int endpoints, string path);

        [LoggerMessage(4102, LogLevel.Warning, "{Path} is not taken ({Faults}); {Consequence}", EventName = "ServicesRefused")]
        public static partial void Refused(ILogger log, string path, string faults, string consequence);
    }
}
