using System.Text;
using System.Threading.Channels;

namespace Mesh.Proxy.Tests.Connections;

/// <summary>The lines a proxy writes, to wait for and to look at.</summary>
internal sealed class CapturedLog : TextWriter
{
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private readonly List<string> _seen = [];

    /// <summary>Lines that were looked at while waiting for another, and not given yet.</summary>
    public IReadOnlyList<string> Seen => _seen;

    public override Encoding Encoding => Encoding.UTF8;

    public override void WriteLine(string? value) => _lines.Writer.TryWrite(value!);

    /// <summary>The next line that holds all of <paramref name="parts"/>; a line is given once.</summary>
    public async Task<string> NextAsync(params string[] parts)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        try
        {
            while (true)
            {
                var index = _seen.FindIndex(line => parts.All(p => line.Contains(p, StringComparison.Ordinal)));
                if (index >= 0)
                {
                    var found = _seen[index];
                    _seen.RemoveAt(index);
                    return found;
                }

                _seen.Add(await _lines.Reader.ReadAsync(deadline.Token));
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"no line with {string.Join(" and ", parts)} among:\n{string.Join('\n', _seen)}");
        }
    }
}
