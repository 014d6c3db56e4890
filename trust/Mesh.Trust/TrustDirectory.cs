using Mesh.Spiffe;
using Mesh.Spiffe.Files;
using Mesh.Trust.Issuing;
using Mesh.Trust.Keys;

namespace Mesh.Trust;

/// <summary>
/// The trust of an installation in a directory, as <c>mesh trust init</c> makes it:
/// <code>
/// root.crt          the trust anchor's certificate, PEM
/// root.key          its private key, PKCS #8 PEM, 0600: needed to make issuers only; keep it elsewhere if you can
/// issuer/tls.crt    the issuer's certificate, PEM (as in a kubernetes.io/tls Secret)
/// issuer/tls.key    its private key, PKCS #8 PEM, 0600: what the identity service signs with
/// issuer/ca.crt     the trust anchor again
/// ca-bundle.crt     the trust anchors that everybody holds, PEM
/// bundle.json       the same as a SPIFFE bundle
/// </code>
/// </summary>
public sealed class TrustDirectory
{
    public const string RootCertificate = "root.crt";
    public const string RootKey = "root.key";
    public const string IssuerFolder = "issuer";
    public const string Anchors = "ca-bundle.crt";
    public const string Bundle = "bundle.json";

    private static readonly string[] Names = [RootKey, RootCertificate, IssuerFolder, Anchors, Bundle];

    private TrustDirectory(string path, CertificateAuthority root, CertificateAuthority issuer)
    {
        DirectoryPath = path;
        Root = root.Certificate;
        Issuer = issuer.Certificate;
    }

    /// <summary>Absolute.</summary>
    public string DirectoryPath { get; }

    public Certificate Root { get; }

    public Certificate Issuer { get; }

    public string IssuerPath => Path.Combine(DirectoryPath, IssuerFolder);

    public string AnchorsPath => Path.Combine(DirectoryPath, Anchors);

    /// <summary>Makes a root and an issuer and writes them. Creates the directory where needed, for its owner only.</summary>
    /// <exception cref="TrustDirectoryExistsException">Something of the layout is there already; nothing was written.</exception>
    /// <exception cref="IOException">The directory cannot be written to.</exception>
    public static TrustDirectory Init(string directory, AuthorityProfile root, AuthorityProfile issuer, TimeProvider time)
    {
        if (root.TrustDomain != issuer.TrustDomain) throw new ArgumentException("root and issuer are of different trust domains", nameof(issuer));
        var path = Path.GetFullPath(directory);
        if (Names.FirstOrDefault(name => Path.Exists(Path.Combine(path, name))) is { } existing)
            throw new TrustDirectoryExistsException(Path.Combine(path, existing));

        using var rootAuthority = CertificateAuthority.CreateRoot(root, time);
        using var issuerAuthority = rootAuthority.CreateIssuer(issuer, time);
        var bundle = new TrustBundle(root.TrustDomain, [rootAuthority.Certificate], sequence: (ulong)time.GetUtcNow().ToUnixTimeMilliseconds());

        CreateFolder(path);
        // The root key comes first and is never replaced: of two runs at once the second fails here, and after one that was cut short
        // the next one refuses above.
        Claim(Path.Combine(path, RootKey));
        WriteKey(Path.Combine(path, RootKey), rootAuthority.Key);
        PrivateFile.WritePublic(Path.Combine(path, RootCertificate), rootAuthority.Certificate.ToPem());
        WriteIssuer(Path.Combine(path, IssuerFolder), issuerAuthority, rootAuthority.Certificate);
        PrivateFile.WritePublic(Path.Combine(path, Bundle), bundle.ToJson());
        PrivateFile.WritePublic(Path.Combine(path, Anchors), bundle.ToPem());
        return new TrustDirectory(path, rootAuthority, issuerAuthority);
    }

    /// <summary>Writes an issuer as a kubernetes.io/tls Secret is mounted, the certificate last.</summary>
    public static void WriteIssuer(string directory, CertificateAuthority issuer, Certificate root)
    {
        CreateFolder(directory);
        WriteKey(Path.Combine(directory, "tls.key"), issuer.Key);
        PrivateFile.WritePublic(Path.Combine(directory, "ca.crt"), root.ToPem());
        PrivateFile.WritePublic(Path.Combine(directory, "tls.crt"), issuer.Certificate.ToPem());
    }

    private static void CreateFolder(string path)
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
        else Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static void Claim(string path)
    {
        try
        {
            File.Open(path, FileMode.CreateNew).Dispose();
        }
        catch (IOException) when (File.Exists(path))
        {
            throw new TrustDirectoryExistsException(path);
        }
    }

    private static void WriteKey(string path, SigningKey key) =>
        PrivateFile.Write(path, key.ExportPem() ?? throw new InvalidOperationException("the key cannot leave its place, so it cannot be written to a file"));
}

/// <summary>A trust directory is there already, and nothing in it is ever overwritten.</summary>
public sealed class TrustDirectoryExistsException(string path) : IOException($"{path} exists already; nothing was written")
{
    public string Existing { get; } = path;
}
