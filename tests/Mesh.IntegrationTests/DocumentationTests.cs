using System.Text.RegularExpressions;

namespace Mesh.IntegrationTests;

/// <summary>ARCHITECTURE.md, README.md and the guides against the tree: what they name must exist, and the guides leave nothing out.</summary>
public sealed partial class DocumentationTests
{
    private const string IdentitySource = "identity/Mesh.Identity/Settings/IdentitySettings.cs";
    private const string IdentityKey = "read\\.\\w+\\(\"([A-Z_]+)\"";
    private const string ProxySource = "proxy/Mesh.Proxy/Settings/ProxyEnvironment.cs";
    private const string ProxyKey = "(?:Prefix \\+ |Span\\(reader, |ServiceId\\(reader, )\"([A-Z_]+)\"";
    private const string DestinationSource = "destination/Mesh.Destination/Settings/DestinationSettings.cs";
    private const string DestinationKey = "(?:read\\.\\w+\\(|ReadId\\(read, )\"([A-Z_]+)\"";

    // The certificate authority, the gRPC server and what services share write into the log of the process they run in.
    private const string IdentityLog = "/(identity/Mesh\\.Identity|trust/Mesh\\.Trust|platform/(Mesh\\.Grpc|Hosting))/";

    [Theory]
    [InlineData("ARCHITECTURE.md")]
    [InlineData("README.md")]
    public void Every_path_that_is_named_exists(string page)
    {
        foreach (var path in Code(page).Where(c => c.Contains('/') && !c.Contains(' ') && !c.Contains(':') && !c.StartsWith('/') && !c.StartsWith("./", StringComparison.Ordinal) && !c.Contains("v1", StringComparison.Ordinal) && KnownFolder().IsMatch(c)))
            Assert.True(Path.Exists(Path.Combine(Repository.Root, path)), $"{page} names {path}, which does not exist");
    }

    [Fact]
    public void Every_type_that_is_named_exists()
    {
        var sources = string.Join('\n', SourceFiles().Select(File.ReadAllText));
        foreach (var name in Code("ARCHITECTURE.md").Where(c => TypeName().IsMatch(c) && !c.StartsWith("Mesh.", StringComparison.Ordinal)))
            Assert.True(Regex.IsMatch(sources, $@"\b(class|record|struct|enum|interface|delegate|rpc) [\w<>. ]*\b{name}\b") || sources.Contains(name + "(", StringComparison.Ordinal), $"ARCHITECTURE.md names {name}, which no source declares");
    }

    [Fact]
    public void Every_port_in_the_table_is_a_default_in_the_code_of_its_process()
    {
        var folders = new Dictionary<string, string> { ["identity"] = "identity/Mesh.Identity", ["destination"] = "destination/Mesh.Destination", ["proxy"] = "proxy/Mesh.Proxy" };
        var process = "";
        var checkedPorts = 0;
        foreach (var line in File.ReadLines(Path.Combine(Repository.Root, "ARCHITECTURE.md")).Where(l => l.StartsWith('|')))
        {
            var cells = line.Split('|', StringSplitOptions.TrimEntries);
            if (cells[1].Length > 0) process = cells[1];
            if (cells.Length < 5 || !int.TryParse(cells[3], out var port) || !folders.TryGetValue(process, out var folder)) continue;
            var settings = string.Join('\n', SourceFiles().Where(f => f.Contains($"{folder}/Settings/", StringComparison.Ordinal)).Select(File.ReadAllText));
            Assert.True(Regex.IsMatch(settings, $@"\b{port}\b"), $"the table gives {process} port {port}, which its settings do not have as a default");
            checkedPorts++;
        }

        Assert.True(checkedPorts >= 6, "the table of ports was not found");
    }

    [Fact]
    public void Every_project_is_in_the_architecture_page_and_no_other()
    {
        var named = Names(Read("ARCHITECTURE.md"), @"\b(Mesh\.[A-Z]\w+)");
        var projects = Repository.SourceProjects().Select(p => Path.GetFileNameWithoutExtension(p)).Where(p => p.StartsWith("Mesh.", StringComparison.Ordinal)).ToArray();
        Assert.Empty(projects.Except(named));
        Assert.All(named.Except(projects), name => Assert.True(Directory.Exists(Path.Combine(Repository.Root, "tests", name)), name));
    }

    [Theory]
    [InlineData("ARCHITECTURE.md")]
    [InlineData("README.md")]
    [InlineData("docs/identity-service.md")]
    [InlineData("docs/destination.md")]
    [InlineData("docs/proxy.md")]
    public void Every_setting_that_is_named_exists(string page)
    {
        string[] settings =
        [
            .. Settings("MESH_IDENTITY_", IdentitySource, IdentityKey), .. Settings("MESH_PROXY_", ProxySource, ProxyKey),
            .. Settings("MESH_DESTINATION_", DestinationSource, DestinationKey),
        ];
        Assert.Empty(Names(Read(page), @"\b(MESH_(?:IDENTITY|PROXY|DESTINATION)_[A-Z_]+)").Except(settings));
    }

    [Fact]
    public void Unsafe_code_and_calls_into_native_libraries_stay_in_their_folders()
    {
        foreach (var file in SourceFiles())
        {
            if (file.Contains("/proxy/Mesh.Proxy/Native/", StringComparison.Ordinal) || file.Contains("/trust/Mesh.Trust/Native/", StringComparison.Ordinal)) continue;
            var text = File.ReadAllText(file);
            Assert.False(Regex.IsMatch(text, @"\b(DllImport|LibraryImport)\b|\bunsafe\b(?= (class|static|partial|struct|void|ref|sealed|\{))"), $"{file} holds unsafe code or a native import");
        }
    }

    [Fact]
    public void There_is_one_place_that_judges_certificates_of_tls_peers()
    {
        foreach (var file in SourceFiles().Where(f => !f.EndsWith("/SvidTls.cs", StringComparison.Ordinal)))
            Assert.DoesNotContain("RemoteCertificateValidationCallback =", File.ReadAllText(file), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("docs/identity-service.md", "MESH_IDENTITY_", IdentitySource, IdentityKey)]
    [InlineData("docs/proxy.md", "MESH_PROXY_", ProxySource, ProxyKey)]
    [InlineData("docs/destination.md", "MESH_DESTINATION_", DestinationSource, DestinationKey)]
    public void Every_setting_is_in_the_guide_and_no_other(string guide, string prefix, string source, string read) =>
        Assert.Equal(Settings(prefix, source, read).Order(StringComparer.Ordinal), Names(Read(guide), $"({prefix}[A-Z_]+)"));

    [Theory]
    [InlineData("docs/identity-service.md", "/(identity/Mesh\\.Identity|platform/Hosting)/", "\"((?:mesh_identity|process|dotnet)_[a-z_]+)\"", "((?:mesh_identity|process|dotnet)_[a-z_]+)")]
    [InlineData("docs/proxy.md", "/proxy/Mesh\\.Proxy/", "\\.(?:Counter|Gauge|Histogram)\\(\"((?!process_)[a-z_]+)\"", "`((?:mesh_proxy|control|tcp|inbound|outbound|proxy|request|response)_[a-z_]+)`")]
    [InlineData("docs/destination.md", "/destination/Mesh\\.Destination/", "\"(mesh_destination_[a-z_]+)\"", "(mesh_destination_[a-z_]+)")]
    public void Every_metric_is_in_the_guide_and_no_other(string guide, string folders, string written, string named) =>
        Assert.Equal(Names(Sources(folders), written), Names(Read(guide), named));

    [Theory]
    [InlineData("docs/identity-service.md", IdentityLog, "EventName = \"(\\w+)\"", "^\\| (?:(?:, )?`([A-Z][A-Za-z]+)`)+ \\| (?:debug|info|warn|error|fatal) \\|")]
    [InlineData("docs/proxy.md", "/proxy/Mesh\\.Proxy/", "(?:LogLevel\\.\\w+|\\blevel),\\s*(3[0-9]{3}),", "\\b(3[0-9]{3})\\b")]
    [InlineData("docs/destination.md", "/(destination/Mesh\\.Destination|platform/(Mesh\\.Grpc|Hosting))/", "EventName = \"(\\w+)\"", "^\\| (?:(?:, )?`([A-Z][A-Za-z]+)`)+ \\|")]
    public void Every_log_line_is_in_the_guide_and_no_other(string guide, string folders, string written, string named) =>
        Assert.Equal(Names(Sources(folders), written), Names(Read(guide), named));

    [Fact]
    public void The_levels_of_log_lines_in_the_guide_are_those_they_are_written_with()
    {
        var names = new Dictionary<string, string> { ["Debug"] = "debug", ["Information"] = "info", ["Warning"] = "warn", ["Error"] = "error", ["Critical"] = "fatal" };
        foreach (var line in Sources(IdentityLog).Split('\n').Where(l => l.Contains("[LoggerMessage(", StringComparison.Ordinal)))
        {
            var (name, level) = (Regex.Match(line, "EventName = \"(\\w+)\"").Groups[1].Value, names[Regex.Match(line, "\\bLogLevel\\.(\\w+)").Groups[1].Value]);
            Assert.True(Regex.IsMatch(Read("docs/identity-service.md"), $@"^\|[^|]* ?`{name}`[^|]*\| {level} \|", RegexOptions.Multiline), $"the guide has no row for {name} at level {level}");
        }
    }

    [Fact]
    public void Every_reason_a_certificate_is_refused_for_is_in_the_guide_with_its_code()
    {
        var rows = Read("docs/identity-service.md").Split('\n');
        var faults = Regex.Matches(Read("identity/Mesh.Identity/Issuance/CertifyFaultTable.cs") + Read("identity/Mesh.Identity/Tokens/TokenFaultTable.cs"), "Fault\\.(\\w+) => \\(StatusCode\\.(\\w+), \"([a-z_]+)\"");
        // A refused token is counted and logged with the token's own reason.
        foreach (var groups in faults.Select(m => m.Groups).Where(g => g[1].Value is not ("None" or "Token")))
            Assert.True(rows.Any(r => r.StartsWith($"| `{groups[2].Value}` |", StringComparison.Ordinal) && r.Contains($"`{groups[3].Value}`", StringComparison.Ordinal)), $"the guide has no {groups[3].Value} with {groups[2].Value}");
        Assert.True(faults.Count > 20, "the tables of faults were not found");
    }

    [Fact]
    public void Every_reason_a_connection_ends_for_is_in_the_guide()
    {
        var labels = Regex.Match(Read("proxy/Mesh.Proxy/Connections/ConnectionEnd.cs"), "Labels =\\s*\\[(.*?)\\];", RegexOptions.Singleline).Groups[1].Value;
        Assert.All(Names(labels, "\"([a-z_]+)\""), reason => Assert.Contains($"`{reason}`", Read("docs/proxy.md"), StringComparison.Ordinal));
        Assert.All(Names(Read("identity/Mesh.Spiffe/Renewal/RenewalFault.cs"), "=> \"([a-z_]+)\","), reason => Assert.True(reason == "renewed" || Read("docs/proxy.md").Contains($"`{reason}`", StringComparison.Ordinal), reason));
    }

    private static string Read(string path) => File.ReadAllText(Path.Combine(Repository.Root, path));

    private static IEnumerable<string> Settings(string prefix, string source, string read) => Names(Read(source), read).Select(n => prefix + n);

    private static string Sources(string folders) => string.Join('\n', SourceFiles().Where(f => Regex.IsMatch(f, folders)).Select(File.ReadAllText));

    private static string[] Names(string text, string pattern) =>
        [.. Regex.Matches(text, pattern, RegexOptions.Multiline).SelectMany(m => m.Groups[1].Captures).Select(c => c.Value).Distinct().Order(StringComparer.Ordinal)];

    private static IEnumerable<string> SourceFiles() =>
        Repository.SourceProjects().Select(p => Path.GetDirectoryName(p)!).Append(Path.Combine(Repository.Root, "platform", "Hosting"))
            .SelectMany(folder => Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal));

    private static IEnumerable<string> Code(string page) =>
        InlineCode().Matches(File.ReadAllText(Path.Combine(Repository.Root, page))).Select(m => m.Groups[1].Value);

    [GeneratedRegex("`([^`\n]+)`")]
    private static partial Regex InlineCode();

    [GeneratedRegex("^[A-Z][A-Za-z]+$")]
    private static partial Regex TypeName();

    [GeneratedRegex("^(identity|trust|proxy|destination|platform|tests|certs-dev|docs)/")]
    private static partial Regex KnownFolder();
}
