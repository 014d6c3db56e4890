using System.Net;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy;

internal sealed partial class ProxyProcess
{
    private static class Log
    {
        public static void Starting(LineLog log, string version, ProxySettings settings) => log.Write(
            LogLevel.Info, 3010, "starting", ("version", version), ("id", settings.Identity.Id), ("server_name", settings.Identity.ServerName),
            ("identity_service", settings.Identity.ServiceAddress), ("discovery", settings.Destination?.ServiceAddress), ("policy", settings.Inbound.Policy.Label()));

        public static void UnknownKey(LineLog log, string key) =>
            log.Write(LogLevel.Warn, 3011, "a setting is not known and has no effect", ("key", key));

        public static void AdminListening(LineLog log, IPEndPoint address) =>
            log.Write(LogLevel.Info, 3012, "listening", ("direction", "admin"), ("address", address));

        public static void CannotBind(LineLog log, string sentence) =>
            log.Write(LogLevel.Error, 3013, "an address cannot be bound", ("error", sentence));

        public static void Serving(LineLog log, string id) =>
            log.Write(LogLevel.Info, 3014, "certified and serving", ("id", id));

        public static void NotInForce(LineLog log, long generation, string error) =>
            log.Write(LogLevel.Error, 3015, "a certificate could not be put in force; the one before stays", ("generation", generation), ("error", error));

        public static void Draining(LineLog log, TimeSpan grace) =>
            log.Write(LogLevel.Info, 3016, "asked to stop: no new connections, waiting for those that are open", ("grace", grace));

        public static void Drained(LineLog log, int cut) =>
            log.Write(LogLevel.Info, 3017, "drained", ("connections_cut", cut));

        public static void EndedUnasked(LineLog log, string part, Exception? fault) =>
            log.Write(LogLevel.Error, 3018, "a part of the proxy ended though nobody asked it to; the process ends", ("part", part), ("exception", fault?.ToString()));

        public static void UnhandledOnLoop(LineLog log, Exception fault) =>
            log.Write(LogLevel.Error, 3019, "work on the event loop failed; the loop goes on", ("exception", fault.ToString()));

        public static void AcceptTrouble(LineLog log, int errno) =>
            log.Write(LogLevel.Warn, 3020, "no connection can be accepted for want of descriptors or memory; waiting", ("errno", errno));
    }
}
