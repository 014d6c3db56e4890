using System.Text.RegularExpressions;

namespace Mesh.IntegrationTests;

/// <summary>ARCHITECTURE.md and README.md against the tree: what they name must exist.</summary>
public sealed partial class DocumentationTests
{
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
    public void Every_project_is_in_the_architecture_page()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "ARCHITECTURE.md"));
        foreach (var project in Repository.SourceProjects()) Assert.Contains(Path.GetFileNameWithoutExtension(project), page, StringComparison.Ordinal);
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
    [InlineData("docs/proxy.md", "MESH_PROXY_", "proxy/Mesh.Proxy/Settings/ProxyEnvironment.cs", "(?:Prefix \\+ |Span\\(reader, |ServiceId\\(reader, )\"([A-Z_]+)\"")]
    [InlineData("docs/destination.md", "MESH_DESTINATION_", "destination/Mesh.Destination/Settings/DestinationSettings.cs", "(?:read\\.\\w+\\(|ReadId\\(read, )\"([A-Z_]+)\"")]
    public void Every_setting_is_in_the_guide_and_no_other(string guide, string prefix, string source, string read) =>
        Assert.Equal(Names(Read(source), read).Select(n => prefix + n).Order(StringComparer.Ordinal), Names(Read(guide), $"({prefix}[A-Z_]+)"));

    [Theory]
    [InlineData("docs/proxy.md", "/proxy/Mesh.Proxy/", "\\.(?:Counter|Gauge|Histogram)\\(\"((?!process_)[a-z_]+)\"", "`((?:mesh_proxy|control|tcp|inbound|proxy)_[a-z_]+)`")]
    [InlineData("docs/destination.md", "/destination/Mesh.Destination/", "\"(mesh_destination_[a-z_]+)\"", "(mesh_destination_[a-z_]+)")]
    public void Every_metric_is_in_the_guide_and_no_other(string guide, string folder, string written, string named) =>
        Assert.Equal(Names(Sources(folder), written), Names(Read(guide), named));

    [Theory]
    [InlineData("docs/proxy.md", "/proxy/Mesh.Proxy/", "(?:LogLevel\\.\\w+|\\blevel),\\s*(3[0-9]{3}),", "\\b(3[0-9]{3})\\b")]
    [InlineData("docs/destination.md", "/destination/Mesh.Destination/", "EventName = \"(\\w+)\"", "^\\| (?:(?:, )?`([A-Z][A-Za-z]+)`)+ \\|")]
    public void Every_log_line_is_in_the_guide_and_no_other(string guide, string folder, string written, string named) =>
        Assert.Equal(Names(Sources(folder), written), Names(Read(guide), named));

    [Fact]
    public void Every_reason_a_connection_ends_for_is_in_the_guide()
    {
        var labels = Regex.Match(Read("proxy/Mesh.Proxy/Connections/ConnectionEnd.cs"), "Labels =\\s*\\[(.*?)\\];", RegexOptions.Singleline).Groups[1].Value;
        Assert.All(Names(labels, "\"([a-z_]+)\""), reason => Assert.Contains($"`{reason}`", Read("docs/proxy.md"), StringComparison.Ordinal));
        Assert.All(Names(Read("identity/Mesh.Spiffe/Renewal/RenewalFault.cs"), "=> \"([a-z_]+)\","), reason => Assert.True(reason == "renewed" || Read("docs/proxy.md").Contains($"`{reason}`", StringComparison.Ordinal), reason));
    }

    private static string Read(string path) => File.ReadAllText(Path.Combine(Repository.Root, path));

    private static string Sources(string folder) => string.Join('\n', SourceFiles().Where(f => f.Contains(folder, StringComparison.Ordinal)).Select(File.ReadAllText));

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
