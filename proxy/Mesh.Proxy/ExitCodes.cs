namespace Mesh.Proxy;

/// <summary>What the process ends with (sysexits.h where it has a number).</summary>
internal static class ExitCodes
{
    public const int Ok = 0;

    /// <summary>A setting is missing or wrong; each is named on standard error.</summary>
    public const int BadConfiguration = 64;

    /// <summary>An address cannot be bound.</summary>
    public const int Unavailable = 69;

    /// <summary>A part that must not end has ended: a fault of ours.</summary>
    public const int Internal = 70;
}
