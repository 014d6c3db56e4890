using Microsoft.Extensions.Logging;

namespace Mesh.Trust.Issuers;

public sealed partial class IssuerSource
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 2011, EventName = "IssuerAccepted", Level = LogLevel.Information, Message = "Issuer {Subject} (SHA-256 {Fingerprint}) in force until {Until:u}, below anchor {Anchor}")]
        public static partial void Accepted(ILogger log, string subject, string fingerprint, DateTimeOffset until, string anchor);

        [LoggerMessage(EventId = 2012, EventName = "IssuerUpdateRefused", Level = LogLevel.Warning, Message = "Issuer update refused ({Fault}): {Reason}. To do: {Remedy}. The issuer before stays in force until {Until:u}")]
        public static partial void UpdateRefused(ILogger log, IssuerFault fault, string reason, string remedy, DateTimeOffset until);

        [LoggerMessage(EventId = 2013, EventName = "NoIssuer", Level = LogLevel.Error, Message = "No issuer ({Fault}): {Reason}. To do: {Remedy}. Nothing is issued until then")]
        public static partial void NoIssuer(ILogger log, IssuerFault fault, string reason, string remedy);

        [LoggerMessage(EventId = 2014, EventName = "IssuerRemark", Level = LogLevel.Information, Message = "About the issuer ({Remark}): {Sentence}")]
        public static partial void Remark(ILogger log, IssuerRemark remark, string sentence);
    }
}
