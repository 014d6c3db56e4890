using System.Globalization;
using System.Threading.Channels;

namespace Mesh.Proxy.Logging;

internal enum LogLevel
{
    Debug = 0,
    Info = 1,
    Warn = 2,
    Error = 3,
    Off = 4,
}

internal enum LogFormat
{
    Text = 0,
    Json = 1,
}

/// <summary>One named value of a log line. Only values that may be seen by an operator go here: ids, addresses, reasons, never a token or a key.</summary>
internal readonly record struct LogField(string Key, object? Value)
{
    public static implicit operator LogField((string Key, object? Value) pair) => new(pair.Key, pair.Value);
}

/// <summary>
/// Writes one line per event, as text or JSON. Lines pass through a bounded queue to a writer of their own, so that a reader of our
/// standard error who stops reading costs lines, never the event loop. Lines lost that way are counted and the count is written when it can be.
/// </summary>
internal sealed class LineLog : IAsyncDisposable
{
    private const int QueueLength = 4096;
    private const int LongestValue = 1024;

    // Lines are made on any thread, and each thread makes one at a time.
    [ThreadStatic]
    private static TextLine? _textLine;

    [ThreadStatic]
    private static JsonLine? _jsonLine;

    private readonly Channel<string> _lines = Channel.CreateBounded<string>(
        new BoundedChannelOptions(QueueLength) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private readonly TextWriter _output;
    private readonly LogLevel _minimum;
    private readonly LogFormat _format;
    private readonly TimeProvider _time;
    private readonly Task _writer;
    private long _lost;

    /// <param name="output">Where lines go; not disposed.</param>
    public LineLog(TextWriter output, LogLevel minimum, LogFormat format, TimeProvider time)
    {
        _output = output;
        _minimum = minimum;
        _format = format;
        _time = time;
        _writer = Task.Run(WriteQueuedAsync);
    }

    /// <summary>A log that writes nothing.</summary>
    public static LineLog None { get; } = new(TextWriter.Null, LogLevel.Off, LogFormat.Text, TimeProvider.System);

    /// <summary>Lines dropped because the reader of the output did not keep up.</summary>
    public long LostLines => Interlocked.Read(ref _lost);

    public bool IsEnabled(LogLevel level) => level >= _minimum && level != LogLevel.Off;

    /// <param name="id">The event's number, unique in the proxy (3000 to 3999).</param>
    /// <param name="sentence">A fixed sentence: what varies belongs in <paramref name="fields"/>.</param>
    public void Write(LogLevel level, int id, string sentence, params ReadOnlySpan<LogField> fields)
    {
        if (!IsEnabled(level)) return;
        if (!_lines.Writer.TryWrite(Compose(level, id, sentence, fields))) Interlocked.Increment(ref _lost);
    }

    /// <summary>The same for lines that come with every request.</summary>
    public void Write(LogLevel level, int id, string sentence, ILineItem item)
    {
        if (!IsEnabled(level)) return;
        if (!_lines.Writer.TryWrite(Compose(level, id, sentence, item))) Interlocked.Increment(ref _lost);
    }

    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await _writer;
    }

    internal string Compose(LogLevel level, int id, string sentence, ReadOnlySpan<LogField> fields)
    {
        var line = Begin(level, id, sentence);
        foreach (var (key, value) in fields)
        {
            switch (value)
            {
                case null: break;
                case bool truth: line.Truth(key, truth); break;
                case int number: line.Number(key, number); break;
                case long number: line.Number(key, number); break;
                case double number when double.IsFinite(number): line.Number(key, number); break;
                default: line.Text(key, Text(value)); break;
            }
        }

        return line.End();
    }

    internal string Compose(LogLevel level, int id, string sentence, ILineItem item)
    {
        var line = Begin(level, id, sentence);
        item.WriteTo(line);
        return line.End();
    }

    private async Task WriteQueuedAsync()
    {
        long told = 0;
        await foreach (var line in _lines.Reader.ReadAllAsync())
        {
            TellLost(ref told);
            _output.WriteLine(line);
            if (!_lines.Reader.TryPeek(out _)) _output.Flush();
        }

        TellLost(ref told);
        _output.Flush();
    }

    private void TellLost(ref long told)
    {
        var lost = LostLines;
        if (lost == told) return;
        _output.WriteLine(Compose(LogLevel.Warn, 3000, "log lines were lost: the reader of this output is too slow", [("lines", lost - told)]));
        told = lost;
    }

    private LineFields Begin(LogLevel level, int id, string sentence)
    {
        LineFields line = _format == LogFormat.Json ? (_jsonLine ??= new JsonLine()) : (_textLine ??= new TextLine());
        Span<char> timestamp = stackalloc char[24];
        _time.GetUtcNow().TryFormat(timestamp, out var length, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        line.Begin(timestamp[..length], Name(level), id, sentence);
        return line;
    }

    private static string Text(object value)
    {
        var text = value switch
        {
            DateTimeOffset at => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            TimeSpan span => span.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture) + "s",
            IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString() ?? "",
        };
        return text.Length <= LongestValue ? text : string.Concat(text.AsSpan(0, LongestValue), "...");
    }

    private static string Name(LogLevel level) => level switch
    {
        LogLevel.Debug => "debug",
        LogLevel.Info => "info",
        LogLevel.Warn => "warn",
        _ => "error",
    };
}
