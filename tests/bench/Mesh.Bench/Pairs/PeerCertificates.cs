namespace Mesh.Bench.Pairs;

/// <summary>
/// The peers' certificates, in PEM: a throw-away root, an issuer and a leaf for each side, as ours, so that what both sides have to send and
/// to verify is the same for all. P-256 throughout.
/// </summary>
internal sealed class PeerCertificates
{
    private readonly string _directory;

    private PeerCertificates(string directory) => _directory = directory;

    /// <summary>The root, which is all that a side trusts.</summary>
    public string Root => In("ca.crt");

    /// <summary>Leaf and issuer of "client" or "server".</summary>
    public string Chain(string side) => In(side + ".crt");

    public string Key(string side) => In(side + ".key");

    /// <summary>Chain and key in one file.</summary>
    public string ChainAndKey(string side) => In(side + ".pem");

    public static async Task<PeerCertificates> MakeAsync(string directory)
    {
        var path = Path.Combine(directory, "peers");
        Directory.CreateDirectory(path);
        var made = new PeerCertificates(path);
        await Tool.RunAsync("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", made.In("ca.key"), "-out", made.Root, "-days", "2", "-subj", "/CN=bench root", "-addext", "keyUsage=critical,keyCertSign,cRLSign");
        await made.IssueAsync("issuer", "ca", "keyUsage=critical,keyCertSign,cRLSign\nbasicConstraints=critical,CA:TRUE,pathlen:0\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
        foreach (var side in new[] { "client", "server" })
        {
            await made.IssueAsync(side, "issuer", $"subjectAltName=DNS:{side}.bench\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
            await File.AppendAllTextAsync(made.Chain(side), await File.ReadAllTextAsync(made.Chain("issuer")));
            await File.WriteAllTextAsync(made.ChainAndKey(side), await File.ReadAllTextAsync(made.Chain(side)) + await File.ReadAllTextAsync(made.Key(side)));
        }

        return made;
    }

    private async Task IssueAsync(string name, string authority, string extensions)
    {
        await File.WriteAllTextAsync(In(name + ".ext"), extensions);
        await Tool.RunAsync("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", Key(name), "-out", In(name + ".csr"), "-subj", "/CN=" + name + ".bench");
        await Tool.RunAsync("openssl", "x509", "-req", "-in", In(name + ".csr"), "-CA", In(authority + ".crt"), "-CAkey", In(authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile", In(name + ".ext"), "-out", In(name + ".crt"));
    }

    private string In(string name) => Path.Combine(_directory, name);
}
