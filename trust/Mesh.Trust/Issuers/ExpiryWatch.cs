using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Trust.Issuers;

/// <summary>
/// Says that an issuer or an anchor nears its end, once at each threshold. Thresholds are parts of its lifetime, since some live for two days
/// and some for ten years: a third left is time to plan, a tenth is time to act. Not for use from two threads at once.
/// </summary>
internal sealed partial class ExpiryWatch(TimeProvider time, ILogger log)
{
    private Dictionary<string, Stage> _told = [];

    private enum Stage
    {
        Young,
        LastThird,
        LastTenth,
        Over,
    }

    /// <summary>Looks at everything in force; what is no longer among it is forgotten.</summary>
    public void Look(IEnumerable<Certificate> issuers, IEnumerable<Certificate> anchors)
    {
        var now = time.GetUtcNow();
        var seen = new Dictionary<string, Stage>();
        foreach (var anchor in anchors) Judge(anchor, "anchor", "put the next anchor beside it, wait until every proxy holds both, then issue below the new one", now, seen);
        foreach (var issuer in issuers) Judge(issuer, "issuer", "make the next issuer and put it in its place; it is taken without a restart", now, seen);
        _told = seen;
    }

    private void Judge(Certificate certificate, string role, string remedy, DateTimeOffset now, Dictionary<string, Stage> seen)
    {
        // An anchor that is its own issuer is one certificate, and told of once.
        var name = certificate.Sha256;
        if (seen.ContainsKey(name)) return;
        var stage = StageOf(certificate, now);
        seen[name] = stage;
        if (stage <= _told.GetValueOrDefault(name)) return;
        if (stage == Stage.Over) Log.Expired(log, role, certificate.SubjectText, name, certificate.NotAfter, remedy);
        else Log.Ends(log, role, certificate.SubjectText, name, certificate.NotAfter, stage == Stage.LastTenth ? "a tenth" : "a third", remedy);
    }

    private static Stage StageOf(Certificate certificate, DateTimeOffset now)
    {
        var (life, left) = (certificate.NotAfter - certificate.NotBefore, certificate.NotAfter - now);
        return left < TimeSpan.Zero ? Stage.Over : left < life / 10 ? Stage.LastTenth : left < life / 3 ? Stage.LastThird : Stage.Young;
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 2015, EventName = "AuthorityEnds", Level = LogLevel.Warning, Message = "The {Role} {Subject} (SHA-256 {Fingerprint}) ends {Until:u}: less than {Part} of its life is left. To do: {Remedy}")]
        public static partial void Ends(ILogger log, string role, string subject, string fingerprint, DateTimeOffset until, string part, string remedy);

        [LoggerMessage(EventId = 2016, EventName = "AuthorityExpired", Level = LogLevel.Error, Message = "The {Role} {Subject} (SHA-256 {Fingerprint}) has expired at {Until:u}; what it signed is refused everywhere. To do: {Remedy}")]
        public static partial void Expired(ILogger log, string role, string subject, string fingerprint, DateTimeOffset until, string remedy);
    }
}
