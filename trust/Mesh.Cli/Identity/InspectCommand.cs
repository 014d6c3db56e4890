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
        var output = Choice.Output("text or json");
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
    private readonly SvidFault _shape;
    private readonly SpiffeId? _id;

    private Inspection(ImmutableArray<Certificate> chain, string? bundleFile, SvidFault shape, SpiffeId? id) =>
        (_chain, _bundleFile, _shape, _id) = (chain, bundleFile, shape, id);

    /// <summary>What came of the anchors that were given; null when none were, or when the certificate cannot be an SVID at all.</summary>
    private string? Judgement { get; init; }

    private Certificate? Anchor { get; init; }

    private DateTimeOffset? ValidUntil { get; init; }

    /// <summary>Verified against the given anchors, or, without any, at least shaped like an SVID or an authority and in time.</summary>
    public bool Valid { get; private init; }

    public static Inspection Of(ImmutableArray<Certificate> chain, string? bundleFile, DateTimeOffset now)
    {
        var leaf = chain[0];
        var inTime = leaf.NotBefore <= now && now <= leaf.NotAfter;
        if (leaf.IsCa) return OfAuthority(chain, bundleFile, inTime, now);
        var shape = SvidVerifier.JudgeLeaf(leaf, out var id);
        if (bundleFile is null || id is null) return new Inspection(chain, bundleFile, shape, id) { Valid = bundleFile is null && shape == SvidFault.None && inTime };
        var verdict = SvidVerifier.Verify(chain, new TrustBundleSet(LoadBundle(bundleFile, id.TrustDomain)), now);
        return new Inspection(chain, bundleFile, shape, id) { Valid = verdict.IsValid, Judgement = verdict.Sentence, Anchor = verdict.Anchor, ValidUntil = verdict.IsValid ? verdict.ValidUntil : null };
    }

    private static Inspection OfAuthority(ImmutableArray<Certificate> chain, string? bundleFile, bool inTime, DateTimeOffset now)
    {
        var named = SpiffeId.TryParse(chain[0].UriNames.Length == 1 ? chain[0].UriNames[0] : null, out var id, out _);
        if (bundleFile is null) return new Inspection(chain, null, SvidFault.None, named ? id : null) { Valid = inTime };
        // Authorities of an external CA often have no SPIFFE ID; what is judged is the chain, for which the name of the bundle does not matter.
        var bundle = LoadBundle(bundleFile, named ? id!.TrustDomain : TrustDomain.Parse("unnamed"));
        var fault = SvidVerifier.VerifyAuthority(chain, bundle, now, out var anchor, out var until);
        return new Inspection(chain, bundleFile, SvidFault.None, named ? id : null)
        {
            Valid = fault == SvidFault.None,
            Judgement = fault != SvidFault.None ? fault.Sentence()
                : chain[0].Equals(anchor) ? "The authority is one of the trust anchors."
                : "The authority leads to a trust anchor.",
            Anchor = anchor,
            ValidUntil = fault == SvidFault.None ? until : null,
        };
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
        Row("DNS names", string.Join(", ", leaf.DnsNames.Select(Printable)));
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
        if (Anchor is { } anchor) Row("anchor", $"{anchor.SubjectText}, SHA-256 {anchor.Sha256}, until {When(anchor.NotAfter)}");
        if (ValidUntil is { } until) Row("valid until", $"{When(until)} (the whole path)");
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
        verifiedAgainst = Judgement is null ? null : _bundleFile,
        anchor = Anchor?.Sha256,
        validUntil = ValidUntil,
    });

    private string Verdict() =>
        Judgement is not null ? Judgement
        : _chain[0].IsCa ? Valid ? "An authority, within its time; give --trust-anchors or --dir to verify its chain." : "An authority outside its time."
        : _shape != SvidFault.None ? _shape.Sentence()
        : Valid ? "Shaped like an SVID and within its time; give --trust-anchors or --dir to verify its chain."
        : "Shaped like an SVID, but outside its time.";

    private static TrustBundle LoadBundle(string file, TrustDomain trustDomain)
    {
        var text = File.ReadAllText(file);
        if (text.AsSpan().TrimStart().StartsWith("{"))
            return TrustBundle.TryParseJson(trustDomain, text, out var json, out var jsonFault) ? json : throw new CommandRefusedException($"{file}: {jsonFault.Sentence()}");
        return TrustBundle.TryParsePem(trustDomain, text, out var pem, out var fault) ? pem : throw new CommandRefusedException($"{file}: {fault.Sentence()}");
    }

    // A server can put any byte into a DNS name, and this goes to a terminal.
    private static string Printable(string name) =>
        string.Concat(name.Select(c => c is >= ' ' and <= '~' ? c.ToString() : string.Create(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}")));

    private static string When(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string Distance(TimeSpan left)
    {
        var size = left.Duration();
        var number = size.TotalDays >= 2 ? $"{size.TotalDays:0} days" : size.TotalHours >= 2 ? $"{size.TotalHours:0} hours" : size.TotalMinutes >= 2 ? $"{size.TotalMinutes:0} minutes" : $"{size.TotalSeconds:0} seconds";
        return left >= TimeSpan.Zero ? "in " + number : number + " ago";
    }
}
