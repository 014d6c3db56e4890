using Mesh.Spiffe;
using Mesh.Trust.Anchors;
using Mesh.Spiffe.Files;
using Mesh.Trust.Issuing;
using Microsoft.Extensions.Logging;

namespace Mesh.Trust.Issuers;

/// <summary>
/// The issuer from a directory that somebody else keeps (a mounted Secret, cert-manager, `mesh trust`), through the gate, always the
/// newest that is good. Watched and polled: an update cannot be missed for longer than the period. What is bad is reported and the
/// last good issuer stays, as long as it chains to the anchors in force and is valid; everything is looked at again when the anchors change.
/// </summary>
public sealed partial class IssuerSource : IDisposable
{
    /// <summary>How often the directory is read when no change is reported.</summary>
    public static readonly TimeSpan DefaultPeriod = TimeSpan.FromSeconds(10);

    private readonly string _directory;
    private readonly AnchorSource _anchors;
    private readonly IssuancePolicy _policy;
    private readonly AnchorRule _rule;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly DirectoryWatch _watch;
    private readonly Lock _reading = new();
    private readonly ExpiryWatch _expiry;
    private volatile IssuerState _current = IssuerState.Start;

    // Guarded by _reading: what was looked at last, and the newest material that the gate let pass.
    private string? _seenDigest;
    private TrustBundle? _seenAnchors;
    private IssuerMaterial? _good;
    private long _accepted;
    private long _refused;

    /// <summary>Reads the directory at once; it need not be there yet.</summary>
    public IssuerSource(string directory, AnchorSource anchors, IssuancePolicy policy, AnchorRule rule, TimeProvider time, ILogger log, TimeSpan? period = null)
    {
        _directory = Path.GetFullPath(directory);
        _anchors = anchors;
        _policy = policy;
        _rule = rule;
        _time = time;
        _log = log;
        _expiry = new ExpiryWatch(time, log);
        _watch = new DirectoryWatch(_directory, period ?? DefaultPeriod, time);
        _anchors.Changed += OnAnchorsChanged;
        Read();
    }

    /// <summary>Raised after each change of <see cref="Current"/>, on the thread that read the directory.</summary>
    public event Action<IssuerState>? Changed;

    public IssuerState Current => _current;

    /// <summary>Issuers taken since the start.</summary>
    public long Accepted => Interlocked.Read(ref _accepted);

    /// <summary>Updates refused since the start; the same refusal again does not count.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Follows the directory until cancelled.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        while (true)
        {
            await _watch.WaitAsync(ct);
            Read();
        }
    }

    /// <summary>Reads the directory now. <see cref="RunAsync"/> does it by itself.</summary>
    public void Read()
    {
        lock (_reading)
        {
            var before = _current;
            var after = Next(before);
            if (after != before)
            {
                _current = after;
                Report(before, after);
                Changed?.Invoke(after);
            }

            // Also when nothing has changed but the time.
            _expiry.Look(after.Issuer?.Intermediates ?? [], _anchors.Current.Bundle?.X509Authorities ?? []);
        }
    }

    public void Dispose()
    {
        _anchors.Changed -= OnAnchorsChanged;
        _watch.Dispose();
    }

    // Not read here: the event comes from inside the anchors' lock, and reading takes ours.
    private void OnAnchorsChanged(AnchorState anchors) => _watch.Signal();

    private IssuerState Next(IssuerState before)
    {
        var anchors = _anchors.Current.Bundle;
        var read = IssuerFiles.TryRead(_directory, out var files, out var problem);
        var digest = files?.Digest();
        var unchanged = digest == _seenDigest && ReferenceEquals(anchors, _seenAnchors);
        _seenDigest = digest;
        _seenAnchors = anchors;
        // The same content is looked at again only while it may still become good with time alone.
        if (read && unchanged && before is { Issuer: not null, Problem: null }) return before;

        if (read && IssuerMaterial.TryRead(files!, out var material, out problem))
        {
            var examination = Examine(material, anchors);
            if (examination.Issuer is { } issuer)
            {
                // The key before is not disposed: a certificate may be being signed with it. The collector takes it when nobody does.
                _good = material;
                return new IssuerState(issuer, null, examination.Remarks);
            }

            material.Key.Dispose();
            problem = examination.Problem!;
        }

        // What is said about it may name the time; it is the same problem all the same.
        return unchanged && before.Problem?.Fault == problem!.Fault ? before : Keep(before, anchors, problem!);
    }

    /// <summary>Stays with the last good material where that still is good with the anchors of now.</summary>
    private IssuerState Keep(IssuerState before, TrustBundle? anchors, IssuerProblem problem)
    {
        if (_good is null) return new IssuerState(null, problem, []);
        if (before.Issuer is { } issuer && anchors is not null && anchors.X509Authorities.Contains(issuer.Anchor)) return before with { Problem = problem };
        var examination = Examine(_good, anchors);
        return new IssuerState(examination.Issuer, problem, examination.Remarks);
    }

    private IssuerExamination Examine(IssuerMaterial material, TrustBundle? anchors) => anchors is null
        ? new IssuerExamination(null, new IssuerProblem(IssuerFault.NoAnchors), [], null, null)
        : IssuerGate.Examine(material, anchors, _policy, _rule, _time);

    private void Report(IssuerState before, IssuerState after)
    {
        if (after.Issuer is { } issuer && !ReferenceEquals(issuer, before.Issuer))
        {
            Interlocked.Increment(ref _accepted);
            var (subject, fingerprint, anchor) = (issuer.Certificate.SubjectText, issuer.Certificate.Sha256, issuer.Anchor.Sha256);
            Log.Accepted(_log, subject, fingerprint, issuer.NotAfter, anchor);
            foreach (var remark in after.Remarks)
            {
                var sentence = remark.Sentence();
                Log.Remark(_log, remark, sentence);
            }
        }

        if (after.Problem is not { } problem || problem.Fault == before.Problem?.Fault && after.Issuer is null == before.Issuer is null) return;
        Interlocked.Increment(ref _refused);
        if (after.Issuer is { } kept) Log.UpdateRefused(_log, problem.Fault, problem.Sentence, problem.Remedy, kept.NotAfter);
        else Log.NoIssuer(_log, problem.Fault, problem.Sentence, problem.Remedy);
    }
}
