using System.Text;
using Mesh.Spiffe;

namespace Mesh.Proxy.Identity;

/// <summary>
/// The trust bundle that the platform keeps fresh in a file, as PEM or as SPIFFE bundle JSON. Bad content never replaces good content.
/// </summary>
/// <remarks>
/// The content is read and compared at every poll instead of watched: it is a few kilobytes, and a poll sees every way of replacing
/// it (rename, rewrite in place, the kubelet's swap of a symbolic link above it) without a thread or a limit on watches.
/// </remarks>
internal sealed class BootstrapFile(string path, TrustDomain trustDomain)
{
    /// <summary>A bundle of the largest accepted number of anchors fits, of any usual size.</summary>
    private const int MaxBytes = 1024 * 1024;

    private byte[] _seen = [];
    private volatile string? _fault = "it has not been read yet";

    /// <summary>Why the file's content now is not usable; null when it is.</summary>
    public string? Fault => _fault;

    /// <summary>Reads the file. True with the bundle when its content is new and usable.</summary>
    public bool TryReadNew(out TrustBundle? bundle)
    {
        bundle = null;
        byte[] content;
        try
        {
            using FileStream file = File.OpenRead(path);
            content = new byte[Math.Min(file.Length, MaxBytes + 1)];
            int length = file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            Array.Resize(ref content, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _seen = [];
            _fault = e.Message;
            return false;
        }

        if (content.Length > 0 && content.AsSpan().SequenceEqual(_seen)) return false;
        _seen = content;
        if (content.Length > MaxBytes)
        {
            _fault = "it is larger than 1 MiB";
            return false;
        }

        string text = Encoding.UTF8.GetString(content);
        bool parsed = text.AsSpan().TrimStart().StartsWith("{")
            ? TrustBundle.TryParseJson(trustDomain, text, out bundle, out TrustBundleFault fault)
            : TrustBundle.TryParsePem(trustDomain, text, out bundle, out fault);
        _fault = parsed ? null : fault.Sentence();
        // A SPIFFE bundle may be empty and then trusts nobody; at the start of a proxy that is a file which is not filled yet.
        if (!parsed || !bundle!.X509Authorities.IsEmpty) return parsed;
        _fault = "it holds no anchors";
        bundle = null;
        return false;
    }
}
