namespace Mesh.Hosting;

/// <summary>How the process ends; the numbers are sysexits', as Linkerd uses them.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>The configuration is wrong; every fault was listed.</summary>
    public const int Usage = 64;

    /// <summary>A listener or another part failed.</summary>
    public const int Internal = 70;
}
