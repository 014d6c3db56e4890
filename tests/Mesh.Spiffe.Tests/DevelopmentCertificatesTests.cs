using System.Diagnostics;
using System.Runtime.InteropServices;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests;

/// <summary>The script certs-dev/make.sh: what it makes, by OpenSSL, is valid by our rules.</summary>
public sealed class DevelopmentCertificatesTests
{
    [Fact]
    public async Task The_script_makes_SVIDs_that_its_bundle_trusts()
    {
        Assert.SkipUnless(!RuntimeInformation.IsOSPlatform(OSPlatform.Windows), "The script needs a Unix shell.");
        Assert.SkipUnless(HasOpenSsl(), "The openssl program is not installed.");
        using var folder = new TemporaryDirectory();
        var script = folder.Write("make.sh", File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "make.sh")));
        using var process = Process.Start(new ProcessStartInfo("bash", [script, "dev.example", "3"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await errors);

        var bundle = TrustBundle.ParsePem(TrustDomain.Parse("dev.example"), File.ReadAllText(folder.File("out/bundle.pem")));
        foreach (var name in new[] { "web", "db" })
        {
            using var svid = X509Svid.FromPem(File.ReadAllText(folder.File($"out/{name}.pem")), File.ReadAllText(folder.File($"out/{name}.key")));
            var verdict = SvidVerifier.Verify(svid.Chain, new TrustBundleSet(bundle), TimeProvider.System.GetUtcNow());
            Assert.Equal(SvidFault.None, verdict.Fault);
            Assert.Equal($"spiffe://dev.example/ns/shop/sa/{name}", verdict.Id!.ToString());
            Assert.True(Mesh.Spiffe.Files.PrivateFile.IsPrivate(folder.File($"out/{name}.key")));
        }
    }

    private static bool HasOpenSsl()
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("openssl", ["version"]) { RedirectStandardOutput = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
