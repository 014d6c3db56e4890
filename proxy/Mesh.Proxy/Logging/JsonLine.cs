using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mesh.Proxy.Logging;

/// <summary>A line for machines: one JSON object.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The writer writes into memory and holds nothing else; it lives as long as its thread.")]
internal sealed class JsonLine : LineFields
{
    // What must not reach a terminal or break a line is escaped; letters of other scripts stay readable.
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ArrayBufferWriter<byte> _bytes = new(1024);
    private readonly Utf8JsonWriter _json;

    public JsonLine() => _json = new Utf8JsonWriter(_bytes, Compact);

    public override void Begin(ReadOnlySpan<char> timestamp, string level, int id, string sentence)
    {
        Begin(timestamp);
        _json.WriteString("level", level);
        _json.WriteNumber("event", id);
        _json.WriteString("message", sentence);
    }

    /// <summary>Begins an object that is no line of the log.</summary>
    public void Begin(ReadOnlySpan<char> timestamp)
    {
        _bytes.ResetWrittenCount();
        _json.Reset();
        _json.WriteStartObject();
        _json.WriteString("timestamp", timestamp);
    }

    public override void Text(string key, ReadOnlySpan<char> value) => _json.WriteString(key, value);

    public override void Number(string key, long value) => _json.WriteNumber(key, value);

    public override void Number(string key, double value) => _json.WriteNumber(key, value);

    public override void Truth(string key, bool value) => _json.WriteBoolean(key, value);

    public override string End()
    {
        _json.WriteEndObject();
        _json.Flush();
        return Encoding.UTF8.GetString(_bytes.WrittenSpan);
    }
}
