using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Serilog.Core;
using Serilog.Events;

namespace Mesh.Hosting;

/// <summary>
/// One JSON object per event and line: timestamp, level, event, message, then the event's own properties, flat. A line is one write and is
/// with the operating system when the call returns: an audit line must not be lost with the process that wrote it.
/// </summary>
internal sealed class JsonLineSink : ILogEventSink, IDisposable
{
    // Letters of other scripts stay readable; the line goes to a terminal or a collector, never into HTML.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly Lock _one = new();
    private readonly Stream _output;
    private readonly ArrayBufferWriter<byte> _line = new(1024);
    private readonly Utf8JsonWriter _json;

    public JsonLineSink(Stream output)
    {
        _output = output;
        _json = new Utf8JsonWriter(_line, Options);
    }

    public void Emit(LogEvent logEvent)
    {
        lock (_one)
        {
            _line.ResetWrittenCount();
            _json.Reset();
            Write(logEvent);
            _json.Flush();
            _line.Write("\n"u8);
            _output.Write(_line.WrittenSpan);
        }
    }

    public void Dispose()
    {
        _json.Dispose();
        _output.Dispose();
    }

    private void Write(LogEvent logEvent)
    {
        _json.WriteStartObject();
        _json.WriteString("timestamp"u8, logEvent.Timestamp.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
        _json.WriteString("level"u8, LevelName(logEvent.Level));
        if (EventName(logEvent) is { } name) _json.WriteString("event"u8, name);
        _json.WriteString("message"u8, logEvent.RenderMessage(CultureInfo.InvariantCulture));
        foreach (var (key, value) in logEvent.Properties)
        {
            if (key is "EventId") continue;
            _json.WritePropertyName(key is "SourceContext" ? "source" : key);
            Write(value);
        }

        if (logEvent.Exception is { } exception) _json.WriteString("exception"u8, exception.ToString());
        _json.WriteEndObject();
    }

    private void Write(LogEventPropertyValue value)
    {
        switch (value)
        {
            case ScalarValue scalar:
                Write(scalar.Value);
                break;
            case SequenceValue sequence:
                _json.WriteStartArray();
                foreach (var element in sequence.Elements) Write(element);
                _json.WriteEndArray();
                break;
            case StructureValue structure:
                _json.WriteStartObject();
                foreach (var property in structure.Properties)
                {
                    _json.WritePropertyName(property.Name);
                    Write(property.Value);
                }

                _json.WriteEndObject();
                break;
            default:
                _json.WriteStringValue(value.ToString());
                break;
        }
    }

    private void Write(object? value)
    {
        switch (value)
        {
            case null: _json.WriteNullValue(); break;
            case string text: _json.WriteStringValue(text); break;
            case bool flag: _json.WriteBooleanValue(flag); break;
            case int number: _json.WriteNumberValue(number); break;
            case long number: _json.WriteNumberValue(number); break;
            case ulong number: _json.WriteNumberValue(number); break;
            case double number when double.IsFinite(number): _json.WriteNumberValue(number); break;
            case DateTime moment: _json.WriteStringValue(moment); break;
            case DateTimeOffset moment: _json.WriteStringValue(moment); break;
            case IFormattable other: _json.WriteStringValue(other.ToString(null, CultureInfo.InvariantCulture)); break;
            default: _json.WriteStringValue(value.ToString()); break;
        }
    }

    private static string? EventName(LogEvent logEvent)
    {
        if (!logEvent.Properties.TryGetValue("EventId", out var id) || id is not StructureValue structure) return null;
        foreach (var property in structure.Properties)
            if (property is { Name: "Name", Value: ScalarValue { Value: string name } }) return name;
        return null;
    }

    private static string LevelName(LogEventLevel level) => level switch
    {
        LogEventLevel.Verbose or LogEventLevel.Debug => "debug",
        LogEventLevel.Information => "info",
        LogEventLevel.Warning => "warn",
        LogEventLevel.Error => "error",
        _ => "fatal",
    };
}
