using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Mesh.Identity.Tokens;

internal static class JsonText
{
    /// <summary>A string property; false when it is missing, of another type, or no valid Unicode (which the reader reports only on this occasion, by throwing).</summary>
    internal static bool TryGet(JsonElement element, string name, [NotNullWhen(true)] out string? text)
    {
        text = null;
        if (!element.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String) return false;
        try
        {
            text = value.GetString();
        }
        catch (InvalidOperationException)
        {
            return false;
        }

        return text is not null;
    }
}
