using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tests;

/// <summary>Everything anybody logged, at every level, with every property and exception.</summary>
internal sealed class CapturedLog : ILoggerProvider
{
    private readonly ConcurrentQueue<(LogLevel Level, EventId Event, string Text)> _lines = new();

    public CapturedLog() => Factory = LoggerFactory.Create(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(this));

    public ILoggerFactory Factory { get; }

    public IReadOnlyCollection<(LogLevel Level, EventId Event, string Text)> Lines => _lines;

    public IEnumerable<string> Of(string eventName) => _lines.Where(l => l.Event.Name == eventName).Select(l => l.Text);

    public ILogger CreateLogger(string categoryName) => new Logger(_lines);

    public void Dispose() { }

    private sealed class Logger(ConcurrentQueue<(LogLevel, EventId, string)> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var properties = state is IEnumerable<KeyValuePair<string, object?>> pairs ? string.Join(' ', pairs.Select(p => $"{p.Key}={p.Value}")) : "";
            lines.Enqueue((logLevel, eventId, $"{formatter(state, exception)} | {properties} | {exception}"));
        }
    }
}
