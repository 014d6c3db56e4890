using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mesh.Proxy.Logging;

/// <summary>A line for people: time, level, number, sentence, then <c>key=value</c>.</summary>
internal sealed class TextLine : LineFields
{
    private static readonly SearchValues<char> Plain =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/@[]+*,%#()<>");

    private readonly StringBuilder _line = new(512);

    public override void Begin(ReadOnlySpan<char> timestamp, string level, int id, string sentence)
    {
        _line.Clear().Append(timestamp).Append(' ').Append(level).Append(' ', Math.Max(0, 5 - level.Length));
        _line.Append(' ').Append(id).Append(' ').Append(sentence);
    }

    public override void Text(string key, ReadOnlySpan<char> value)
    {
        _line.Append(' ').Append(key).Append('=');
        if (value.Length > 0 && !value.ContainsAnyExcept(Plain)) _line.Append(value);
        else Quote(value);
    }

    public override void Number(string key, long value) => _line.Append(' ').Append(key).Append('=').Append(value);

    public override void Number(string key, double value) => Text(key, value.ToString(CultureInfo.InvariantCulture));

    public override void Truth(string key, bool value) => _line.Append(' ').Append(key).Append('=').Append(value ? "True" : "False");

    public override string End() => _line.ToString();

    // Between quotes all that could end them, end the line, or steer a terminal or a reader's eye (bidi controls) is escaped, and nothing else.
    private void Quote(ReadOnlySpan<char> text)
    {
        _line.Append('"');
        foreach (var c in text)
        {
            switch (c)
            {
                case '"' or '\\': _line.Append('\\').Append(c); break;
                case '\n': _line.Append("\\n"); break;
                case '\r': _line.Append("\\r"); break;
                case '\t': _line.Append("\\t"); break;
                default:
                    if (IsPrintable(c)) _line.Append(c);
                    else _line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                    break;
            }
        }

        _line.Append('"');
    }

    private static bool IsPrintable(char c) => char.GetUnicodeCategory(c) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
