using Microsoft.Extensions.Logging;

namespace Mesh.Trust.Anchors;

public sealed partial class AnchorSource
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 2001, EventName = "AnchorsLoaded", Level = LogLevel.Information, Message = "Trust anchors loaded from {Path}: {Count} anchors, sequence {Sequence}, SHA-256 {Fingerprints}")]
        public static partial void Loaded(ILogger log, string path, int count, ulong sequence, string fingerprints);

        [LoggerMessage(EventId = 2002, EventName = "AnchorUpdateRefused", Level = LogLevel.Warning, Message = "Trust anchors at {Path} not taken: {Reason}. The {Count} anchors loaded before stay in force")]
        public static partial void UpdateRefused(ILogger log, string path, string reason, int count);

        [LoggerMessage(EventId = 2003, EventName = "NoAnchors", Level = LogLevel.Error, Message = "No trust anchors: {Path}: {Reason}. Nothing can be issued until the file is good")]
        public static partial void NoAnchors(ILogger log, string path, string reason);
    }
}
