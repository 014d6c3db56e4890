using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using System.Text.Json;
using Mesh.Cli.Demo;
using Mesh.Spiffe;

namespace Mesh.Cli.Identity;

/// <summary><c>mesh identity inspect</c>: what certificate is that, does it verify, against which anchor, until when.</summary>
internal static class InspectCommand
{
    private const int MaxFileBytes = 1024 * 1024;

    public static Command Create()
    {
        var target = new Argument<string>("target") { Description = "a PEM or DER file, or HOST:PORT of a TLS server" };
        var anchors = new Option<string?>("--trust-anchors") { Description = "PEM or SPIFFE JSON file with the trust anchors to verify against" };
        var directory = new Option<string?>("--dir") { Description = "take the anchors from this directory, as made by 'mesh trust init' or 'mesh demo'" };
        var serverName = new Option<string?>("--server-name") { Description = "the SNI to send; the proxy of a workload answers to its own name only" };
        var output = new Option<string>("--output") { Description = "text or json", DefaultValueFactory = _ => "text" };
        output.AcceptOnlyFromAmong("text", "json");
        var command = new Command("inspect", "Shows a certificate and whether it is a valid SVID. Exit code 0: valid, 1: not.") { target, anchors, directory, serverName, output };
        command.SetAction(async (parsed, ct) =>
        {
            var now = TimeProvider.System.GetUtcNow();
            var chain = await LoadAsync(parsed.GetValue(target)!, parsed.GetValue(serverName), ct);
            var bundleFile = parsed.GetValue(anchors) ?? FindBundle(parsed.GetValue(directory));
            var inspection = Inspection.Of(chain, bundleFile, now);
            Console.WriteLine(parsed.GetValue(output) == "json" ? inspection.Json() : inspection.Text(now));
            return inspection.Valid ? ExitCode.Done : ExitCode.Refused;
        });
        return command;
    }

    private static async Task<ImmutableArray<Certificate>> LoadAsync(string target, string? serverName, CancellationToken ct)
    {
        if (File.Exists(target)) return LoadFile(target);
        var colon = target.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(target.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is < 1 or > 65535)
            throw new CommandRefusedException($"{target}: no such file, and not HOST:PORT", ExitCode.Usage);
        return await ConnectAsync(target[..colon].Trim('[', ']'), port, serverName, ct);
    }

    private static ImmutableArray<Certificate> LoadFile(string path)
    {
        if (new FileInfo(path).Length > MaxFileBytes) throw new CommandRefusedException($"{path}: larger than 1 MiB, so not a certificate file");
        var bytes = File.ReadAllBytes(path);
        if (Certificate.TryParse(bytes, out var der, out _)) return [der];
        var text = Encoding.UTF8.GetString(bytes);
        if (!Certificate.TryParsePem(text, out var chain, out var fault)) throw new CommandRefusedException($"{path}: {fault.Sentence()}");
        return chain.IsEmpty ? throw new CommandRefusedException($"{path}: holds no certificate") : chain;
    }

    private static async Task<ImmutableArray<Certificate>> ConnectAsync(string host, int port, string? serverName, CancellationToken ct)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, ct);
        IReadOnlyList<ReadOnlyMemory<byte>> shown = [];
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(host, port, either.Token);
            await using var tls = new SslStream(client.GetStream());
            await tls.AuthenticateAsClientAsync(SvidTls.Observe(serverName ?? host, chain => shown = chain), either.Token);
        }
        catch (SocketException failed)
        {
            throw new CommandRefusedException($"{host}:{port}: {failed.Message}");
        }
        catch (Exception failed) when (shown.Count == 0 && failed is AuthenticationException or IOException)
        {
            throw new CommandRefusedException($"{host}:{port}: no TLS handshake ({failed.Message}). A proxy ends TLS only for its own name: try --server-name.");
        }
        catch (Exception failed) when (shown.Count > 0 && failed is AuthenticationException or IOException)
        {
            // The server wanted a certificate of ours; what it is was seen before that.
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw new CommandRefusedException($"{host}:{port}: no TLS handshake within 10 s");
        }

        var certificates = ImmutableArray.CreateBuilder<Certificate>();
        foreach (var der in shown)
            certificates.Add(Certificate.TryParse(der, out var certificate, out var fault) ? certificate : throw new CommandRefusedException($"{host}:{port}: a certificate it shows cannot be read. {fault.Sentence()}"));
        return certificates.Count > 0 ? certificates.ToImmutable() : throw new CommandRefusedException($"{host}:{port}: showed no certificate");
    }

    // The demo keeps its trust in a folder of its directory; "trust init" makes just that folder.
    private static string? FindBundle(string? directory)
    {
        if (directory is not null)
        {
            var bundle = new EmbeddedMeshLayout(directory).Bundle;
            return File.Exists(bundle) ? bundle : throw new CommandRefusedException($"--dir {directory}: {bundle} does not exist", ExitCode.Usage);
        }

        return null;
    }
}

/// <summary>What is known of a chain of certificates.</summary>
internal sealed class Inspection
{
    private readonly ImmutableArray<Certificate> _chain;
    private readonly string? _bundleFile;
    private readonly SvidVerdict? _verdict;
    private readonly SvidFault _shape;
    private readonly SpiffeId? _id;

    private Inspection(ImmutableArray<Certificate> chain, string? bundleFile, SvidVerdict? verdict, SvidFault shape, SpiffeId? id) =>
        (_chain, _bundleFile, _verdict, _shape, _id) = (chain, bundleFile, verdict, shape, id);

    /// <summary>Verified against the given anchors, or, without any, at least shaped like an SVID or an authority and in time.</summary>
    public bool Valid { get; private init; }

    public static Inspection Of(ImmutableArray<Certificate> chain, string? bundleFile, DateTimeOffset now)
    {
        var leaf = chain[0];
        var inTime = leaf.NotBefore <= now && now <= leaf.NotAfter;
        if (leaf.IsCa)
        {
            var named = SpiffeId.TryParse(leaf.UriNames.Length == 1 ? leaf.UriNames[0] : null, out var authority, out _);
            return new Inspection(chain, bundleFile, null, SvidFault.None, named ? authority : null) { Valid = inTime };
        }

        var shape = SvidVerifier.JudgeLeaf(leaf, out var id);
        SvidVerdict? verdict = null;
        if (bundleFile is not null && id is not null) verdict = SvidVerifier.Verify(chain, LoadBundle(bundleFile, id.TrustDomain), now);
        return new Inspection(chain, bundleFile, verdict, shape, id) { Valid = verdict?.IsValid ?? (bundleFile is null && shape == SvidFault.None && inTime) };
    }

    public string Text(DateTimeOffset now)
    {
        var leaf = _chain[0];
        var text = new StringBuilder();
        void Row(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value)) text.AppendLine(CultureInfo.InvariantCulture, $"{name,-12} {value}");
        }

        Row("SPIFFE ID", _id?.ToString() ?? "none");
        Row("DNS names", string.Join(", ", leaf.DnsNames));
        Row("kind", leaf.IsCa ? leaf.IsSelfIssued ? "certificate authority, self-signed (a trust anchor)" : "certificate authority, issued by another" : "workload (X.509 SVID)");
        Row("subject", leaf.SubjectText);
        Row("issuer", leaf.IssuerText);
        Row("serial", leaf.SerialText);
        Row("SHA-256", leaf.Sha256);
        Row("key", leaf.KeyKind.ToString());
        Row("from", When(leaf.NotBefore));
        Row("until", $"{When(leaf.NotAfter)} ({Distance(leaf.NotAfter - now)})");
        Row("chain", string.Create(CultureInfo.InvariantCulture, $"{_chain.Length} certificate(s)"));
        Row("verdict", Verdict());
        if (_verdict?.Anchor is { } anchor) Row("anchor", $"{anchor.SubjectText}, SHA-256 {anchor.Sha256}, until {When(anchor.NotAfter)}");
        if (_verdict is { IsValid: true }) Row("valid until", $"{When(_verdict.ValidUntil)} (the whole path)");
        return text.ToString().TrimEnd();
    }

    public string Json() => JsonSerializer.Serialize(new
    {
        valid = Valid,
        verdict = Verdict(),
        spiffeId = _id?.ToString(),
        dnsNames = _chain[0].DnsNames.ToArray(),
        isCa = _chain[0].IsCa,
        serial = _chain[0].SerialText,
        sha256 = _chain[0].Sha256,
        notBefore = _chain[0].NotBefore,
        notAfter = _chain[0].NotAfter,
        chain = _chain.Select(c => c.Sha256).ToArray(),
        verifiedAgainst = _bundleFile,
        anchor = _verdict?.Anchor?.Sha256,
        validUntil = _verdict is { IsValid: true } ? _verdict.ValidUntil : (DateTimeOffset?)null,
    });

    private string Verdict() =>
        _verdict is not null ? _verdict.Sentence
        : _chain[0].IsCa ? Valid ? "An authority, within its time; an authority is no SVID." : "An authority outside its time."
        : _shape != SvidFault.None ? _shape.Sentence()
        : Valid ? "Shaped like an SVID and within its time; give --trust-anchors or --dir to verify its chain."
        : "Shaped like an SVID, but outside its time.";

    private static TrustBundleSet LoadBundle(string file, TrustDomain trustDomain)
    {
        var text = File.ReadAllText(file);
        if (text.AsSpan().TrimStart().StartsWith("{"))
            return TrustBundle.TryParseJson(trustDomain, text, out var json, out var jsonFault) ? new TrustBundleSet(json) : throw new CommandRefusedException($"{file}: {jsonFault.Sentence()}");
        return TrustBundle.TryParsePem(trustDomain, text, out var pem, out var fault) ? new TrustBundleSet(pem) : throw new CommandRefusedException($"{file}: {fault.Sentence()}");
    }

    private static string When(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string Distance(TimeSpan left)
    {
        var size = left.Duration();
        var number = size.TotalDays >= 2 ? $"{size.TotalDays:0} days" : size.TotalHours >= 2 ? $"{size.TotalHours:0} hours" : size.TotalMinutes >= 2 ? $"{size.TotalMinutes:0} minutes" : $"{size.TotalSeconds:0} seconds";
        return left >= TimeSpan.Zero ? "in " + number : number + " ago";
    }
}
