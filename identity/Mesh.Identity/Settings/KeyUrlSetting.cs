using Mesh.Identity.Tokens;

namespace Mesh.Identity.Settings;

internal static class KeyUrlSetting
{
    /// <summary>A URL that keys are fetched from: https, or http on this machine, because whoever can alter the answer can mint identities.</summary>
    public static Uri? KeyUrl(this SettingsReader read, string name)
    {
        if (read.Text(name) is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out var value) && KeyServer.IsAcceptable(value)) return value;
        read.Fault(name, "must be an https URL without user information (http only to a loopback address)");
        return null;
    }
}
