using System.Globalization;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Events;
using Serilog.Extensions.Logging;

namespace Mesh.Hosting;

internal enum LogFormat
{
    Json,
    Text,
}

/// <summary>Serilog on standard output, behind <see cref="ILoggerFactory"/>: the rest of the program knows only the latter.</summary>
internal static class ConsoleLog
{
    /// <summary>The names of levels in settings, the same in every program of Mesh.</summary>
    public static IReadOnlyDictionary<string, LogLevel> Levels { get; } = new Dictionary<string, LogLevel>
    {
        ["debug"] = LogLevel.Debug, ["info"] = LogLevel.Information, ["warn"] = LogLevel.Warning, ["error"] = LogLevel.Error, ["off"] = LogLevel.None,
    };

    /// <summary>The names of formats; "plain" is Linkerd's word for text.</summary>
    public static IReadOnlyDictionary<string, LogFormat> Formats { get; } = new Dictionary<string, LogFormat> { ["json"] = LogFormat.Json, ["text"] = LogFormat.Text, ["plain"] = LogFormat.Text };

    // Frameworks report what peers do at their own levels; ours is the account of it.
    private static readonly string[] Frameworks = ["Microsoft", "System"];

    public static ILoggerFactory Create(LogLevel level, LogFormat format)
    {
        var configuration = new LoggerConfiguration().MinimumLevel.Is(LevelOf(level));
        foreach (var framework in Frameworks) configuration = configuration.MinimumLevel.Override(framework, LogEventLevel.Warning);
        // While this category can log anything at all, the framework makes an activity and a log scope for every request.
        configuration = configuration.MinimumLevel.Override("Microsoft.AspNetCore.Hosting.Diagnostics", LevelAlias.Off);
        // Every line of it is about frames that one peer sent, some at "critical": a peer that resets streams fast enough ends its own connection.
        configuration = configuration.MinimumLevel.Override("Microsoft.AspNetCore.Server.Kestrel.Http2", LevelAlias.Off);
        // It prints the stack of an exception that it then throws at us, and we say in one sentence.
        configuration = configuration.MinimumLevel.Override("Microsoft.Extensions.Hosting.Internal.Host", LevelAlias.Off);
        configuration = format == LogFormat.Json
            ? configuration.WriteTo.Sink(new JsonLineSink(Console.OpenStandardOutput()))
            : configuration.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss.fff} {Level:u4} {Message:lj}{NewLine}{Exception}", formatProvider: CultureInfo.InvariantCulture);
        var logger = configuration.CreateLogger();
        return new SerilogLoggerFactory(logger, dispose: true);
    }

    private static LogEventLevel LevelOf(LogLevel level) => level switch
    {
        LogLevel.Debug => LogEventLevel.Debug,
        LogLevel.Warning => LogEventLevel.Warning,
        LogLevel.Error => LogEventLevel.Error,
        LogLevel.None => LevelAlias.Off,
        _ => LogEventLevel.Information,
    };
}
