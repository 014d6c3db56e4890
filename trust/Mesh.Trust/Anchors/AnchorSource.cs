using Mesh.Spiffe;
using Mesh.Spiffe.Files;
using Microsoft.Extensions.Logging;

namespace Mesh.Trust.Anchors;

/// <summary>
/// The trust anchors of our trust domain, from a file that somebody else keeps (a ConfigMap, trust-manager, `mesh trust`): PEM or a
/// SPIFFE bundle in JSON. Watched and polled; a bad content leaves the last good one in force.
///
/// Sequences grow with each change of content and, without anything stored, do not go back over a restart: a sequence is the time the
/// file was written in Unix milliseconds, or one more than the last where that is not later (a file put there with an old date, which
/// is the one case that a restart forgets). A SPIFFE bundle's own spiffe_sequence counts in its place when it is larger.
/// </summary>
public sealed partial class AnchorSource : ITrustBundleSource, IDisposable
{
    /// <summary>How often the file is read when no change is reported.</summary>
    public static readonly TimeSpan DefaultPeriod = TimeSpan.FromSeconds(10);

    private readonly TrustDomain _trustDomain;
    private readonly string _path;
    private readonly ILogger _log;
    private readonly DirectoryWatch _watch;
    private readonly Lock _reading = new();
    private volatile AnchorState _current = new(null, null);

    /// <summary>Reads the file at once; it need not be there yet.</summary>
    public AnchorSource(TrustDomain trustDomain, string path, TimeProvider time, ILogger log, TimeSpan? period = null)
    {
        _trustDomain = trustDomain;
        _path = Path.GetFullPath(path);
        _log = log;
        _watch = new DirectoryWatch(Path.GetDirectoryName(_path)!, period ?? DefaultPeriod, time);
        Read();
    }

    /// <summary>Raised after each change of <see cref="Current"/>, on the thread that read the file.</summary>
    public event Action<AnchorState>? Changed;

    public AnchorState Current => _current;

    public TrustBundle? Find(TrustDomain trustDomain) => trustDomain == _trustDomain ? _current.Bundle : null;

    /// <summary>Follows the file until cancelled.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        while (true)
        {
            await _watch.WaitAsync(ct);
            Read();
        }
    }

    /// <summary>Reads the file now. <see cref="RunAsync"/> does it by itself.</summary>
    public void Read()
    {
        lock (_reading)
        {
            var before = _current;
            var after = Next(before);
            if (after == before) return;
            _current = after;
            if (after.Problem is { } problem)
            {
                if (after.Bundle is null) Log.NoAnchors(_log, _path, problem.Sentence);
                else Log.UpdateRefused(_log, _path, problem.Sentence, after.Bundle.X509Authorities.Length);
            }
            else
            {
                var bundle = after.Bundle!;
                var fingerprints = string.Join(' ', bundle.X509Authorities.Select(a => a.Sha256));
                Log.Loaded(_log, _path, bundle.X509Authorities.Length, bundle.Sequence ?? 0, fingerprints);
            }

            Changed?.Invoke(after);
        }
    }

    public void Dispose() => _watch.Dispose();

    private AnchorState Next(AnchorState before)
    {
        string text;
        DateTimeOffset written;
        try
        {
            text = MountedFile.ReadText(_path, out written);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return Refuse(before, AnchorFault.Unreadable, unreadable.Message);
        }

        var json = text.AsSpan().TrimStart().StartsWith('{');
        var good = json
            ? TrustBundle.TryParseJson(_trustDomain, text, out var bundle, out var fault)
            : TrustBundle.TryParsePem(_trustDomain, text, out bundle, out fault);
        if (!good) return Refuse(before, AnchorFault.BadContent, $"{_path}: {fault.Sentence()}");
        if (bundle!.X509Authorities.IsEmpty) return Refuse(before, AnchorFault.Empty, _path);
        if (before.Bundle is { } current && current.HasSameAuthorities(bundle)) return before.Problem is null ? before : before with { Problem = null };

        var sequence = (ulong)Math.Max(0, written.ToUnixTimeMilliseconds());
        sequence = Math.Max(sequence, bundle.Sequence ?? 0);
        sequence = Math.Max(sequence, (before.Bundle?.Sequence ?? 0) + 1);
        return new AnchorState(new TrustBundle(_trustDomain, bundle.X509Authorities, sequence, bundle.RefreshHint), null);
    }

    private static AnchorState Refuse(AnchorState before, AnchorFault fault, string detail)
    {
        var problem = new AnchorProblem(fault, detail);
        return before.Problem == problem ? before : before with { Problem = problem };
    }
}
