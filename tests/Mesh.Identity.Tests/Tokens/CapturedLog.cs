using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tests.Tokens;

/// <summary>Keeps every line logged.</summary>
internal sealed class CapturedLog : ILogger
{
    public ConcurrentQueue<(EventId Id, LogLevel Level, string Text)> Lines { get; } = new();

    public int Count(int id) => Lines.Count(l => l.Id.Id == id);

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Lines.Enqueue((eventId, logLevel, formatter(state, exception) + exception));
}
