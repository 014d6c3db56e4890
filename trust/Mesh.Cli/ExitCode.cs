namespace Mesh.Cli;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Done = 0;

    /// <summary>Refused, or the answer is no.</summary>
    public const int Refused = 1;

    /// <summary>The command line or the settings are wrong (EX_USAGE of sysexits.h).</summary>
    public const int Usage = 64;

    /// <summary>A fault of ours (EX_SOFTWARE of sysexits.h).</summary>
    public const int Internal = 70;

    /// <summary>Interrupted by the operator (128 + SIGINT).</summary>
    public const int Interrupted = 130;
}

/// <summary>A command cannot go on; the message says what failed, for whom, and what to do.</summary>
internal sealed class CommandRefusedException(string message, int exitCode = ExitCode.Refused) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
