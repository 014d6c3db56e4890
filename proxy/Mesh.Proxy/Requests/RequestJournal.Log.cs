using Mesh.Proxy.Logging;

namespace Mesh.Proxy.Requests;

internal sealed partial class RequestJournal
{
    private static class Log
    {
        /// <summary>The access log of requests: one line for each, with it all.</summary>
        public static void Ended(LineLog log, RequestRecord record) => log.Write(LogLevel.Info, 3103, "request ended", record);
    }
}
