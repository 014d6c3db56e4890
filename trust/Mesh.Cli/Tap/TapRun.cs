using System.Text.Json;
using Mesh.Cli.Stat;

namespace Mesh.Cli.Tap;

/// <summary>Reads the taps of some proxies at once and prints what they tell, until enough was seen.</summary>
internal sealed class TapRun(IReadOnlyList<ProxyTarget> proxies, string query, HttpClient client, TextWriter output)
{
    // A line holds bounded texts only; more is no tap.
    private const int LongestLine = 64 * 1024;

    private readonly Lock _lock = new();
    private int _seen;

    /// <param name="count">Ends after so many; null: never.</param>
    /// <param name="ending">Ends it when it fires, and is fired when enough was seen.</param>
    public async Task<int> RunAsync(bool json, int? count, CancellationTokenSource ending)
    {
        var told = await Task.WhenAll(proxies.Select(p => FollowAsync(p, json, count, ending)));
        return told.All(t => t) ? ExitCode.Done : ExitCode.Refused;
    }

    private async Task<bool> FollowAsync(ProxyTarget proxy, bool json, int? count, CancellationTokenSource ending)
    {
        try
        {
            using var answer = await client.GetAsync(new Uri(proxy.Admin, query.Length == 0 ? "tap" : "tap?" + query), HttpCompletionOption.ResponseHeadersRead, ending.Token);
            if (!answer.IsSuccessStatusCode)
            {
                await TellAsync(proxy, $"{(int)answer.StatusCode}: {(await answer.Content.ReadAsStringAsync(ending.Token)).Trim()}");
                return false;
            }

            using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(ending.Token));
            while (await reader.ReadLineAsync(ending.Token) is { } line)
                if (line.Length > LongestLine || !Print(proxy, line, json, count, ending)) break;
            if (ending.IsCancellationRequested) return true;
            await TellAsync(proxy, "the proxy has ended the stream");
            return false;
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            return true;
        }
        catch (Exception failed) when (failed is HttpRequestException or IOException)
        {
            await TellAsync(proxy, failed.Message);
            return false;
        }
    }

    /// <summary>False when enough was seen, or this is no event.</summary>
    private bool Print(ProxyTarget proxy, string line, bool json, int? count, CancellationTokenSource ending)
    {
        if (TapText.Of(proxy.Name, line, json) is not { } text) return false;
        lock (_lock)
        {
            if (count is { } most && _seen >= most) return false;
            output.WriteLine(text);
            output.Flush();
            if (++_seen == count) ending.Cancel();
        }

        return true;
    }

    private static Task TellAsync(ProxyTarget proxy, string why) => Console.Error.WriteLineAsync($"mesh: {proxy.Name}: {StatText.Printable(why)}");
}

/// <summary>How one event is printed.</summary>
internal static class TapText
{
    /// <summary>Null when <paramref name="line"/> is no event.</summary>
    public static string? Of(string proxy, string line, bool json)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var told = document.RootElement;
            if (told.ValueKind != JsonValueKind.Object) return null;
            return json ? Json(proxy, told) : Text(proxy, told);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Json(string proxy, JsonElement told)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            writer.WriteStartObject();
            writer.WriteString("proxy", proxy);
            foreach (var property in told.EnumerateObject()) property.WriteTo(writer);
            writer.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(bytes.ToArray());
    }

    // 12:00:00.123 web-proxy inbound spiffe://… GET web.demo:80 /cart 200 1.5ms
    private static string Text(string proxy, JsonElement told)
    {
        var time = Value(told, "timestamp") is { Length: 24 } timestamp ? timestamp[11..23] : "";
        var result = Value(told, "status") + (Value(told, "grpc_status") is { Length: > 0 } grpc ? $" grpc {grpc}" : "");
        string[] parts =
        [
            time, proxy, Value(told, "direction"), Value(told, "peer") is { Length: > 0 } peer ? peer : Value(told, "no_peer"), Value(told, "method"), Value(told, "authority"),
            Value(told, "path"), result, Value(told, "reason"), Value(told, "duration_ms") is { Length: > 0 } ms ? ms + "ms" : "",
            Value(told, "left_out") is { Length: > 0 } left ? $"({left} left out before)" : "",
        ];
        return StatText.Printable(string.Join(' ', parts.Where(p => p.Length > 0)));
    }

    private static string Value(JsonElement told, string name) => told.TryGetProperty(name, out var value) ? value.ToString() : "";
}
