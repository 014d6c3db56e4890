namespace Mesh.Identity.Tokens;

internal static class LogText
{
    private const int MaxLength = 300;

    /// <summary>Text that may come from a stranger, made safe for one log line: printable ASCII, bounded.</summary>
    internal static string Clean(string text)
    {
        var length = Math.Min(text.Length, MaxLength);
        var clean = text.Length <= MaxLength;
        for (var i = 0; clean && i < length; i++) clean = text[i] is >= ' ' and <= '~';
        if (clean) return text;
        return string.Create(length, text, static (target, source) =>
        {
            for (var i = 0; i < target.Length; i++) target[i] = source[i] is >= ' ' and <= '~' ? source[i] : '?';
        });
    }
}
