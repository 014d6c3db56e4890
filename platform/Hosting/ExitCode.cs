namespace Mesh.Hosting;

/// <summary>How the process ends; the numbers are sysexits', as Linkerd uses them.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>The configuration is wrong; every fault was listed.</summary>
    public const int Usage = 64;

    /// <summary>An address cannot be listened on; the log names it and its setting.</summary>
    public const int Unavailable = 69;

    /// <summary>A part that must not end has ended: a fault of ours.</summary>
    public const int Internal = 70;
}
