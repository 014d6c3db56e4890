using System.Collections.Immutable;
using System.Text.Json;

namespace Mesh.Destination.Services;

/// <summary>Reads typed values out of JSON and collects every fault with its place. A value that is at fault reads as if it were not there.</summary>
internal class JsonReader
{
    private const int MaxFaults = 50;

    private readonly List<string> _faults = [];

    public ImmutableArray<string> Faults => [.. _faults];

    public bool Members(JsonElement element, string at, ReadOnlySpan<string> known, out Dictionary<string, JsonElement> members)
    {
        members = [];
        if (element.ValueKind != JsonValueKind.Object)
        {
            Fault(at, "must be an object");
            return false;
        }

        foreach (var member in element.EnumerateObject())
        {
            if (!known.Contains(member.Name)) Fault($"{at}.{Shorten(member.Name)}", "is not known here");
            members[member.Name] = member.Value;
        }

        return true;
    }

    public string? Text(Dictionary<string, JsonElement> members, string at, string name)
    {
        if (!members.TryGetValue(name, out var element) || element.ValueKind == JsonValueKind.Null) return null;
        if (element.ValueKind == JsonValueKind.String) return element.GetString();
        Fault($"{at}.{name}", "must be a text");
        return null;
    }

    public bool Flag(Dictionary<string, JsonElement> members, string at, string name)
    {
        if (!members.TryGetValue(name, out var element)) return false;
        if (element.ValueKind is not (JsonValueKind.True or JsonValueKind.False)) Fault($"{at}.{name}", "must be true or false");
        return element.ValueKind == JsonValueKind.True;
    }

    public long? Number(Dictionary<string, JsonElement> members, string at, string name, long least, long most)
    {
        if (!members.TryGetValue(name, out var element)) return null;
        if (element.ValueKind == JsonValueKind.Number && element.TryGetInt64(out var number) && number >= least && number <= most) return number;
        Fault($"{at}.{name}", $"must be a number from {least} to {most}");
        return null;
    }

    public void Fault(string at, string what)
    {
        if (_faults.Count < MaxFaults) _faults.Add($"{at}: {what}");
    }

    private static string Shorten(string name) => name.Length <= 40 ? name : name[..40];

    /// <summary>The elements of a list with the place of each; none when it is not there. More than <paramref name="most"/> are a fault.</summary>
    public IEnumerable<(string At, JsonElement Element)> List(Dictionary<string, JsonElement> members, string at, string name, int most)
    {
        if (!members.TryGetValue(name, out var list)) yield break;
        if (list.ValueKind != JsonValueKind.Array)
        {
            Fault($"{at}.{name}", "must be a list");
            yield break;
        }

        if (list.GetArrayLength() > most) Fault($"{at}.{name}", $"holds more than {most} entries");
        foreach (var (index, element) in list.EnumerateArray().Take(most).Index()) yield return ($"{at}.{name}[{index}]", element);
    }

    public TimeSpan? Duration(Dictionary<string, JsonElement> members, string at, string name)
    {
        if (Text(members, at, name) is not { } text) return null;
        if (DurationText.TryParse(text, out var value) && value <= TimeSpan.FromDays(1)) return value;
        Fault($"{at}.{name}", "must be a duration such as 500ms, 10s or 1m, of a day at most");
        return null;
    }
}
