using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
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

    // What must not reach a terminal or break a line is escaped; letters of other scripts stay readable.
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly SearchValues<char> Plain =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/@[]+*,%#()<>");

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

    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await _writer;
    }

    internal string Compose(LogLevel level, int id, string sentence, ReadOnlySpan<LogField> fields) =>
        _format == LogFormat.Json ? ComposeJson(level, id, sentence, fields) : ComposeText(level, id, sentence, fields);

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

    private string ComposeText(LogLevel level, int id, string sentence, ReadOnlySpan<LogField> fields)
    {
        var line = new StringBuilder(160);
        line.Append(Timestamp()).Append(' ').Append(Name(level).PadRight(5)).Append(' ').Append(id).Append(' ').Append(sentence);
        foreach (var (key, value) in fields)
        {
            if (value is null) continue;
            var text = Text(value);
            line.Append(' ').Append(key).Append('=');
            if (text.Length > 0 && !text.AsSpan().ContainsAnyExcept(Plain)) line.Append(text);
            else Quote(text, line);
        }

        return line.ToString();
    }

    // Between quotes all that could end them, end the line, or steer a terminal or a reader's eye (bidi controls) is escaped, and nothing else.
    private static void Quote(string text, StringBuilder line)
    {
        line.Append('"');
        foreach (var c in text)
        {
            switch (c)
            {
                case '"' or '\\': line.Append('\\').Append(c); break;
                case '\n': line.Append("\\n"); break;
                case '\r': line.Append("\\r"); break;
                case '\t': line.Append("\\t"); break;
                default:
                    if (IsPrintable(c)) line.Append(c);
                    else line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                    break;
            }
        }

        line.Append('"');
    }

    private static bool IsPrintable(char c) => char.GetUnicodeCategory(c) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);

    private string ComposeJson(LogLevel level, int id, string sentence, ReadOnlySpan<LogField> fields)
    {
        var bytes = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(bytes, Compact))
        {
            json.WriteStartObject();
            json.WriteString("timestamp", Timestamp());
            json.WriteString("level", Name(level));
            json.WriteNumber("event", id);
            json.WriteString("message", sentence);
            foreach (var (key, value) in fields)
            {
                switch (value)
                {
                    case null: break;
                    case bool truth: json.WriteBoolean(key, truth); break;
                    case int number: json.WriteNumber(key, number); break;
                    case long number: json.WriteNumber(key, number); break;
                    case double number when double.IsFinite(number): json.WriteNumber(key, number); break;
                    default: json.WriteString(key, Text(value)); break;
                }
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    private string Timestamp() => _time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

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
