using System.Collections.Immutable;
using System.Numerics;
using Mesh.Protocol.Trust;
using Mesh.Proxy.Identity;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Settings;
using Mesh.Spiffe.Renewal;

namespace Mesh.Proxy.Control;

internal sealed partial class ControlPlane
{
    private void LogChanges()
    {
        RenewalFault last = RenewalFault.None;
        Renewal.Happened += (happened, status) =>
        {
            switch (happened)
            {
                case RenewalEvent.Renewed:
                    Volatile.Write(ref _expiryTold, 0);
                    Log.Renewed(_log, Identity.Current!, status);
                    break;
                case RenewalEvent.Expired:
                    TellExpiry(status);
                    break;
                // Attempts are counted one by one; the log gets the first of a kind and then ever fewer.
                case RenewalEvent.Failed when status.LastFault != last || BitOperations.IsPow2(status.FailuresInRow):
                    Log.RenewalFailed(_log, status);
                    break;
            }

            last = status.LastFault;
        };
        Identity.CertificateOrphaned += () => Log.Orphaned(_log);
        BundleUpdate? taken = null;
        Bundles.Updated += (update, refusal) =>
        {
            // A stream that is opened again begins with what is in force: that is no news.
            if (refusal != BundleRefusal.None) Log.BundleRefused(_log, update.Sequence, refusal);
            else if (!update.Equals(taken)) Log.BundleTaken(_log, update.Sequence, update.Anchors.Count, update.RenewNow);
            taken = refusal == BundleRefusal.None ? update : null;
        };
        Bundles.ConnectedChanged += (connected, reason) =>
        {
            if (connected) Log.StreamOpened(_log);
            else Log.StreamEnded(_log, reason);
        };
        if (Directory is not null)
        {
            Directory.ReachableChanged += (reachable, reason) =>
            {
                if (reachable) Log.DiscoveryReached(_log);
                else Log.DiscoveryLost(_log, reason);
            };
        }

        if (Policies is not null)
        {
            Policies.ReachableChanged += (reachable, reason) =>
            {
                if (reachable) Log.PoliciesReached(_log);
                else Log.PoliciesLost(_log, reason);
            };
            Policies.NotUnderstood += (target, faults) => Log.RoutesRefused(_log, target, faults);
        }
    }

    private void TellExpiry(RenewalStatus status)
    {
        if (Interlocked.Exchange(ref _expiryTold, 1) == 0) Log.Expired(_log, status);
    }

    private static class Log
    {
        public static void AnchorsRead(LineLog log, string file, int anchors) =>
            log.Write(LogLevel.Info, 3501, "the trust anchors file was read", ("file", file), ("anchors", anchors));

        public static void AnchorsUnusable(LineLog log, string file, string fault, bool kept) =>
            log.Write(LogLevel.Warn, 3502, "the trust anchors file is not usable", ("file", file), ("error", fault), ("kept", kept));

        public static void Renewed(LineLog log, ProxyIdentity identity, RenewalStatus status) => log.Write(
            LogLevel.Info, 3503, "certified", ("id", identity.Svid.Id), ("serial", identity.Svid.Leaf.SerialText), ("until", status.ExpiresAt), ("next", status.NextAttemptAt),
            ("generation", identity.Generation));

        public static void RenewalFailed(LineLog log, RenewalStatus status) => log.Write(
            LogLevel.Warn, 3504, "no new certificate could be obtained", ("reason", status.LastFault.Label()), ("error", status.LastDetail), ("failures", status.FailuresInRow),
            ("until", status.ExpiresAt), ("next", status.NextAttemptAt));

        public static void Expired(LineLog log, RenewalStatus status) => log.Write(
            LogLevel.Error, 3505, "the certificate has expired; mesh connections are refused until there is a new one", ("reason", status.LastFault.Label()),
            ("error", status.LastDetail), ("expired", status.ExpiresAt));

        public static void Orphaned(LineLog log) =>
            log.Write(LogLevel.Warn, 3506, "the certificate does not verify under the newest trust anchors; renewing it");

        public static void BundleTaken(LineLog log, ulong sequence, int anchors, bool renew) =>
            log.Write(LogLevel.Info, 3507, "a trust bundle was pushed and is in force", ("sequence", sequence), ("anchors", anchors), ("renew", renew));

        public static void BundleRefused(LineLog log, ulong sequence, BundleRefusal refusal) =>
            log.Write(LogLevel.Warn, 3508, "a pushed trust bundle was not taken", ("sequence", sequence), ("reason", refusal.Label()), ("error", refusal.Sentence()));

        public static void StreamOpened(LineLog log) =>
            log.Write(LogLevel.Info, 3509, "the identity service pushes trust bundles");

        public static void StreamEnded(LineLog log, string reason) =>
            log.Write(LogLevel.Warn, 3510, "the identity service is away; certificate and trust anchors are kept", ("error", reason));

        public static void DiscoveryReached(LineLog log) =>
            log.Write(LogLevel.Info, 3551, "discovery answers");

        public static void DiscoveryLost(LineLog log, string reason) =>
            log.Write(LogLevel.Warn, 3552, "discovery is away; the last known endpoints are kept", ("error", reason));

        public static void PoliciesReached(LineLog log) =>
            log.Write(LogLevel.Info, 3553, "the service of routes answers");

        public static void PoliciesLost(LineLog log, string reason) =>
            log.Write(LogLevel.Warn, 3554, "the service of routes is away; the last known routes are kept", ("error", reason));

        public static void RoutesRefused(LineLog log, HostPort target, ImmutableArray<string> faults) => log.Write(
            LogLevel.Warn, 3555, "routes were not understood; their requests are refused", ("target", target), ("routes", faults.Length), ("error", faults[0]));
    }
}
