using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tokens;

public sealed partial class TokenKeyStore
{
    private static partial class Log
    {
        [LoggerMessage(1500, LogLevel.Information, "Token keys read from {Source}: {Count} keys ({KeyIds})", EventName = "TokenKeysRead")]
        public static partial void KeysRead(ILogger log, string source, int count, string keyIds);

        [LoggerMessage(1501, LogLevel.Warning, "Keys of {Source} that cannot be used: {Reasons}", EventName = "TokenKeysLeftOut")]
        public static partial void KeysLeftOut(ILogger log, string source, string reasons);

        [LoggerMessage(1502, LogLevel.Warning, "Token keys could not be read from {Source}, the last good ones stay in force: {Fault}", EventName = "TokenKeysKept")]
        public static partial void KeysKept(ILogger log, string source, string fault);

        [LoggerMessage(1503, LogLevel.Error, "Token keys could not be read from {Source}, no token can be checked: {Fault}", EventName = "NoTokenKeys")]
        public static partial void NoKeys(ILogger log, string source, string fault);
    }
}
