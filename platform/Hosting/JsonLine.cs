using System.Globalization;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Json;

namespace Mesh.Hosting;

/// <summary>One JSON object per event and line: timestamp, level, event, message, then the event's own properties, flat.</summary>
internal sealed class JsonLine : ITextFormatter
{
    private static readonly JsonValueFormatter Values = new(typeTagName: null);

    public void Format(LogEvent logEvent, TextWriter output)
    {
        output.Write("{\"timestamp\":\"");
        output.Write(logEvent.Timestamp.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
        output.Write("\",\"level\":\"");
        output.Write(LevelName(logEvent.Level));
        output.Write('"');
        if (EventName(logEvent) is { } name)
        {
            output.Write(",\"event\":");
            JsonValueFormatter.WriteQuotedJsonString(name, output);
        }

        output.Write(",\"message\":");
        JsonValueFormatter.WriteQuotedJsonString(logEvent.RenderMessage(CultureInfo.InvariantCulture), output);
        foreach (var (key, value) in logEvent.Properties)
        {
            if (key is "EventId") continue;
            output.Write(',');
            JsonValueFormatter.WriteQuotedJsonString(key is "SourceContext" ? "source" : key, output);
            output.Write(':');
            Values.Format(value, output);
        }

        if (logEvent.Exception is { } exception)
        {
            output.Write(",\"exception\":");
            JsonValueFormatter.WriteQuotedJsonString(exception.ToString(), output);
        }

        output.Write("}\n");
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
