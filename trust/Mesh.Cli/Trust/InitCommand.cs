using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Mesh.Cli.Demo;
using Mesh.Hosting;
using Mesh.Spiffe;
using Mesh.Trust;
using Mesh.Trust.Issuing;
using Mesh.Trust.Keys;

namespace Mesh.Cli.Trust;

/// <summary><c>mesh trust init</c>: the root and the first issuer of a trust domain.</summary>
internal static class InitCommand
{
    private static readonly Dictionary<string, KeyAlgorithm> Algorithms = new()
    {
        ["ec-p256"] = KeyAlgorithm.EcP256,
        ["ec-p384"] = KeyAlgorithm.EcP384,
        ["rsa-2048"] = KeyAlgorithm.Rsa2048,
        ["rsa-3072"] = KeyAlgorithm.Rsa3072,
        ["rsa-4096"] = KeyAlgorithm.Rsa4096,
    };

    public static Command Create()
    {
        var trustDomain = new Option<string>("--trust-domain") { Description = "the name in every SPIFFE ID, for example example.org", Required = true };
        var directory = new Option<string>("--dir") { Description = "where to write; a folder 'trust' is made in it", Required = true };
        var rootKey = KeyOption("--root-key-type", "the root's key");
        var issuerKey = KeyOption("--issuer-key-type", "the issuer's key");
        var rootLifetime = new Option<string>("--root-lifetime") { Description = "for example 3650d", DefaultValueFactory = _ => "3650d" };
        var issuerLifetime = new Option<string>("--issuer-lifetime") { Description = "for example 365d", DefaultValueFactory = _ => "365d" };
        var output = Choice.Output("text or json");
        var command = new Command("init", "Makes a root and an issuer for production use; private files are 0600, nothing is overwritten.") { trustDomain, directory, rootKey, issuerKey, rootLifetime, issuerLifetime, output };
        command.SetAction(parsed =>
        {
            if (string.IsNullOrWhiteSpace(parsed.GetValue(directory))) throw new CommandRefusedException("--dir: is empty; name a directory", ExitCode.Usage);
            if (!TrustDomain.TryParse(parsed.GetValue(trustDomain), out var domain, out var fault))
                throw new CommandRefusedException($"--trust-domain: {fault.Sentence()}", ExitCode.Usage);
            var root = AuthorityProfile.Root(domain) with { Algorithm = Algorithms[parsed.GetValue(rootKey)!], Lifetime = Lifetime("--root-lifetime", parsed.GetValue(rootLifetime)!) };
            var issuer = AuthorityProfile.Issuer(domain) with { Algorithm = Algorithms[parsed.GetValue(issuerKey)!], Lifetime = Lifetime("--issuer-lifetime", parsed.GetValue(issuerLifetime)!) };
            if (issuer.Lifetime > root.Lifetime) throw new CommandRefusedException("--issuer-lifetime is longer than --root-lifetime; an issuer cannot outlive its root", ExitCode.Usage);
            try
            {
                var made = TrustDirectory.Init(new EmbeddedMeshLayout(parsed.GetValue(directory)!).Trust, root, issuer, TimeProvider.System);
                Console.WriteLine(parsed.GetValue(output) == "json" ? Json(made) : Text(made));
                return ExitCode.Done;
            }
            catch (TrustDirectoryExistsException exists)
            {
                throw new CommandRefusedException($"{exists.Existing} exists already; nothing was written. Name another --dir, or move the old one away if it is not in use.");
            }
            catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
            {
                throw new CommandRefusedException($"--dir {parsed.GetValue(directory)}: {failed.Message}");
            }
        });
        return command;
    }

    private static Option<string> KeyOption(string name, string what) => Choice.Of(name, what, "ec-p256", [.. Algorithms.Keys]);

    private static TimeSpan Lifetime(string option, string text) =>
        DurationText.TryParse(text, out var lifetime) && lifetime >= TimeSpan.FromHours(1) && lifetime <= TimeSpan.FromDays(3653 * 3)
            ? lifetime
            : throw new CommandRefusedException($"{option} {text}: a duration such as 24h or 365d, from 1h to 30 years", ExitCode.Usage);

    private static string Text(TrustDirectory made) => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        root      {made.Root.SubjectText}
                  SHA-256 {made.Root.Sha256}, until {made.Root.NotAfter.UtcDateTime:yyyy-MM-dd}
        issuer    {made.Issuer.SubjectText}
                  SHA-256 {made.Issuer.Sha256}, until {made.Issuer.NotAfter.UtcDateTime:yyyy-MM-dd}
        written   {made.DirectoryPath}
        Keep {TrustDirectory.RootKey} away from the cluster: it is needed to make issuers, not to run. The identity service needs
        {made.IssuerPath} and {made.AnchorsPath}.
        """);

    private static string Json(TrustDirectory made) => JsonSerializer.Serialize(new
    {
        directory = made.DirectoryPath,
        issuerDirectory = made.IssuerPath,
        anchors = made.AnchorsPath,
        root = new { sha256 = made.Root.Sha256, notAfter = made.Root.NotAfter },
        issuer = new { sha256 = made.Issuer.Sha256, notAfter = made.Issuer.NotAfter },
    });
}
