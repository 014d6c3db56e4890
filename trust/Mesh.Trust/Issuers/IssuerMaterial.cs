using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Mesh.Spiffe;
using Mesh.Spiffe.Files;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Issuers;

/// <summary>
/// An issuer as it is handed to us, by files or by an external CA: certificates in whatever order, and a key. Nothing about it is
/// believed before <see cref="IssuerGate"/> has examined it.
/// </summary>
public sealed class IssuerMaterial
{
    /// <param name="certificates">The issuer's certificate and any above it, in any order, root or not.</param>
    /// <param name="companions">Certificates that came along (<c>ca.crt</c>): used to complete the chain, never trusted.</param>
    public IssuerMaterial(ImmutableArray<Certificate> certificates, ImmutableArray<Certificate> companions, SigningKey key)
    {
        Certificates = certificates;
        Companions = companions;
        Key = key;
    }

    public ImmutableArray<Certificate> Certificates { get; }

    public ImmutableArray<Certificate> Companions { get; }

    public SigningKey Key { get; }

    /// <summary>
    /// Reads either layout of Secret from a directory: <c>crt.pem</c> and <c>key.pem</c> (linkerd.io/tls), or <c>tls.crt</c>, <c>tls.key</c>
    /// and perhaps <c>ca.crt</c> (kubernetes.io/tls, cert-manager).
    /// </summary>
    public static bool TryRead(string directory, [NotNullWhen(true)] out IssuerMaterial? material, [NotNullWhen(false)] out IssuerProblem? problem)
    {
        material = null;
        if (!IssuerFiles.TryRead(directory, out var files, out problem)) return false;
        return TryRead(files, out material, out problem);
    }

    internal static bool TryRead(IssuerFiles files, [NotNullWhen(true)] out IssuerMaterial? material, [NotNullWhen(false)] out IssuerProblem? problem)
    {
        material = null;
        problem = null;
        if (!Certificate.TryParsePem(files.Certificates, out var certificates, out var fault))
        {
            problem = new IssuerProblem(IssuerFault.BadCertificates, $"{files.CertificateName}: {fault.Sentence()}");
            return false;
        }

        ImmutableArray<Certificate> companions = [];
        // cert-manager fills ca.crt as well as it can; an empty or odd one is no reason to refuse the issuer.
        if (files.Companions is { } text && Certificate.TryParsePem(text, out var found, out _)) companions = found;

        if (SigningKey.ReadPem(files.Key, out var keyFault) is not { } key)
        {
            problem = new IssuerProblem(IssuerFault.BadKey, $"{files.KeyName}: {keyFault.Sentence()}");
            return false;
        }

        material = new IssuerMaterial(certificates, companions, key);
        return true;
    }

    public override string ToString() => $"{Certificates.Length} certificates, {Key}";
}

/// <summary>The texts of one reading of an issuer directory. Holds a private key: it does not print and is not kept.</summary>
internal sealed class IssuerFiles
{
    private IssuerFiles(string certificateName, string certificates, string keyName, string key, string? companions)
    {
        CertificateName = certificateName;
        Certificates = certificates;
        KeyName = keyName;
        Key = key;
        Companions = companions;
    }

    public string CertificateName { get; }

    public string Certificates { get; }

    public string KeyName { get; }

    public string Key { get; }

    public string? Companions { get; }

    /// <summary>Tells one content from another without keeping it.</summary>
    public string Digest()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var text in (string[])[Certificates, Key, Companions ?? ""])
        {
            hash.AppendData(BitConverter.GetBytes(text.Length));
            hash.AppendData(Encoding.UTF8.GetBytes(text));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public static bool TryRead(string directory, [NotNullWhen(true)] out IssuerFiles? files, [NotNullWhen(false)] out IssuerProblem? problem)
    {
        files = null;
        problem = null;
        // All files of one update: kubelet changes where ..data points in one step, so it is followed once and not file by file.
        var root = MountedFile.Resolve(directory);
        var kubernetes = File.Exists(Path.Combine(root, "tls.crt")) || File.Exists(Path.Combine(root, "tls.key"));
        var linkerd = File.Exists(Path.Combine(root, "crt.pem")) || File.Exists(Path.Combine(root, "key.pem"));
        if (kubernetes && linkerd) problem = new IssuerProblem(IssuerFault.MixedLayouts, directory);
        else if (!kubernetes && !linkerd) problem = new IssuerProblem(IssuerFault.Missing, directory);
        if (problem is not null) return false;

        var (certificateName, keyName) = kubernetes ? ("tls.crt", "tls.key") : ("crt.pem", "key.pem");
        try
        {
            var certificates = MountedFile.ReadText(Path.Combine(root, certificateName));
            var key = MountedFile.ReadText(Path.Combine(root, keyName));
            var companions = Path.Combine(root, "ca.crt");
            files = new IssuerFiles(certificateName, certificates, keyName, key, kubernetes && File.Exists(companions) ? MountedFile.ReadText(companions) : null);
            return true;
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            problem = new IssuerProblem(IssuerFault.Unreadable, unreadable.Message);
            return false;
        }
    }

    public override string ToString() => $"{CertificateName}, {KeyName}";
}
