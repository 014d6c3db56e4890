using System.Globalization;
using System.Text.Json;
using Mesh.Cli.Stat;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mesh.Cli.Demo;

/// <summary>What the demo saw. Nothing here is claimed: each figure names the place it was read from.</summary>
internal sealed class DemoFacts
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ProxyFacts> _proxies = [];
    private long _requests;
    private long _failed;
    private long? _answeredAtIncident;
    private long _earlierRequests;
    private long _earlierFailed;
    private string? _why;
    private long _wireBytes;
    private long _wireFindings;
    private long _controlFindings;
    private int _wireConnections;
    private string? _tlsVersion;

    public DateTimeOffset Started { get; set; }

    public DateTimeOffset Ended { get; set; }

    /// <summary>Read from two connections without TLS, one to the workload's meshed port and one to the proxy's own.</summary>
    public bool PlaintextRefused { get; set; }

    /// <summary>What died while we watched.</summary>
    public List<string> Incidents { get; } = [];

    /// <summary>Requests that were answered as they should be.</summary>
    public long Answered
    {
        get { lock (_lock) return _requests - _failed; }
    }

    /// <summary>Notes that something died, and how many requests had been answered by then.</summary>
    public void Happened(string incident)
    {
        Incidents.Add(incident);
        _answeredAtIncident = Answered;
    }

    /// <summary>Everything a doubter wants was seen.</summary>
    public bool Shown => Shortcomings.Count == 0;

    /// <summary>What was to be seen and was not, each with the place to look at.</summary>
    public IReadOnlyList<string> Shortcomings
    {
        get
        {
            var missing = new List<string>();
            if (_requests == 0) missing.Add("No request was made: look at client-proxy.log.");
            else if (_failed * 2 > _requests) missing.Add($"Most requests failed, the last with '{_why}': look at client-proxy.log, then at web-proxy.log, for the reason that their connections ended with.");
            if (ClientId is null) missing.Add("The server's proxy verified no client: look at client-proxy.log for a certificate that was not issued, and at identity.log for the refusal.");
            if (ServerId is null) missing.Add("The client's proxy verified no server: look at web-proxy.log for a certificate that was not issued, and at destination.log.");
            if (_tlsVersion != "TLSv1.3") missing.Add($"TLS 1.3 was not seen between the proxies ({_tlsVersion ?? "no TLS at all"}): look at client-proxy.log.");
            if (PlaintextOnWire == true) missing.Add("Plaintext was found between the proxies: that is a fault of ours, please report it.");
            else if (PlaintextOnWire is null) missing.Add("The capture could not be searched: too little crossed the wire to tell.");
            if (!PlaintextRefused) missing.Add("Plaintext was not refused at the meshed port: look at web-proxy.log.");
            return missing;
        }
    }

    /// <summary>Null when the capture could not be searched: nothing crossed, or the same search did not find the text where it must be.</summary>
    public bool? PlaintextOnWire => _wireFindings > 0 ? true : _wireBytes > 0 && _controlFindings > 0 ? false : null;

    /// <summary>Whom the server's proxy verified.</summary>
    private string? ClientId => _proxies.GetValueOrDefault("web-proxy")?.Peer;

    /// <summary>Whom the client's proxy verified.</summary>
    private string? ServerId => _proxies.GetValueOrDefault("client-proxy")?.Peer;

    private long Renewals => _proxies.Values.Sum(p => Math.Max(0, p.Certificates - 1) + p.EarlierRenewals);

    /// <summary>A line of the sample client: requests answered, requests failed, the last reason.</summary>
    public void TakeClientLine(string line)
    {
        var parts = line.Split(' ', 3);
        if (parts.Length < 2 || !long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var done) || !long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var failed)) return;
        lock (_lock)
        {
            if (done + failed < _requests - _earlierRequests) (_earlierRequests, _earlierFailed) = (_requests, _failed);
            (_requests, _failed) = (_earlierRequests + done + failed, _earlierFailed + failed);
            if (parts.Length == 3 && parts[2].Length > 0) _why = parts[2];
        }
    }

    public void TakeWire(WireTap wire, WireTap control)
    {
        _wireBytes = wire.Bytes;
        _wireFindings = wire.Findings;
        _wireConnections = wire.Connections;
        _tlsVersion = wire.TlsVersion;
        _controlFindings = control.Findings;
    }

    public void TakeProxy(string name, IReadOnlyList<Sample> samples)
    {
        if (samples.Count == 0) return;
        var facts = _proxies.TryGetValue(name, out var known) ? known : _proxies[name] = new ProxyFacts();
        facts.Certificates = (long)samples.Where(s => s.Name == "control_identity_cert_refreshes_total" && s.Label("result") == "ok").Sum(s => s.Value);
        facts.Expires = Timestamp(samples, "control_identity_cert_expiration_timestamp_seconds") ?? facts.Expires;
        facts.Renews = Timestamp(samples, "mesh_proxy_identity_next_attempt_timestamp_seconds") ?? facts.Renews;
        var label = name == "web-proxy" ? "client_id" : "server_id";
        facts.Peer = samples.Where(s => s.Name == "tcp_open_total" && s.Label("tls") == "true" && s.Value > 0).Select(s => s.Label(label)).FirstOrDefault(id => !string.IsNullOrEmpty(id)) ?? facts.Peer;
        facts.Handshakes = (long)samples.Where(s => s.Name == "mesh_proxy_tls_handshakes_total" && s.Label("result") == "ok").Sum(s => s.Value);
        facts.Group = samples.Where(s => s.Name == "mesh_proxy_tls_negotiated_total" && s.Value > 0).Select(s => $"{s.Label("group")} {s.Label("cipher")}").FirstOrDefault() ?? facts.Group;
    }

    /// <summary>A proxy was started again: its counters begin anew, what it did before stays counted.</summary>
    public void Forget(string name)
    {
        if (!_proxies.TryGetValue(name, out var facts)) return;
        facts.EarlierRenewals += Math.Max(0, facts.Certificates - 1);
        facts.Certificates = 0;
    }

    public string Line() => string.Create(
        CultureInfo.InvariantCulture,
        $"{_requests} requests, {_failed} failed; {ClientId ?? "?"} -> {ServerId ?? "?"}; {_tlsVersion ?? "no TLS seen"}; {Renewals} renewals; {_wireBytes / 1024} KiB on the wire searched, secret text found {_wireFindings} times");

    /// <summary>The live view; it fits 80 columns.</summary>
    public IRenderable Table(DateTimeOffset now)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumns("", "SPIFFE ID", "expires", "renews", "issued");
        void Row(string name, string? id, ProxyFacts? proxy) => table.AddRow(name, id ?? "-", In(proxy?.Expires, now), In(proxy?.Renews, now), Count(proxy?.Certificates));
        Row("client", ClientId, Facts("client-proxy"));
        Row("web", ServerId, Facts("web-proxy"));
        var seconds = Math.Max(1, (now - Started).TotalSeconds);
        // Two columns, so that what is too long for the terminal goes on below its own beginning.
        var lines = new Grid().AddColumn(new GridColumn().NoWrap()).AddColumn();
        void Line(string name, FormattableString text) => lines.AddRow(new Text(name), new Text(text.ToString(CultureInfo.InvariantCulture)));
        Line("requests", $"{_requests} ({_requests / seconds:0}/s), {_failed} failed, success {(_requests == 0 ? 0 : 100.0 * (_requests - _failed) / _requests):0.00} %");
        if (_why is not null) Line("", $"last failure: {_why}");
        Line("wire", $"{_tlsVersion ?? "no TLS seen yet"} {Facts("client-proxy")?.Group}, {_wireConnections} connections");
        Line("searched", $"{_wireBytes / 1024} KiB captured there: the secret text found {_wireFindings} times");
        Line("", $"(before the proxy, where it is plain: {_controlFindings} times)");
        Line("plaintext", $"{(PlaintextRefused ? "refused straight at the port (policy all-authenticated)" : "NOT refused")}");
        foreach (var incident in Incidents.TakeLast(4)) Line("", $"{incident}");
        return new Rows(table, lines);
    }

    public string Summary() => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        requests           {_requests} ({PerSecond:0.#}/s), {_failed} failed{(_failed > 0 ? $" (last: {_why})" : "")}
        client             {ClientId ?? "not seen"} (as the server's proxy verified it)
        server             {ServerId ?? "not seen"} (as the client's proxy verified it)
        on the wire        {_tlsVersion ?? "no TLS seen"}; {_wireBytes} bytes captured and searched, the secret text was found {_wireFindings} times (and {_controlFindings} times before the proxy, where it is plain)
        plaintext          {(PlaintextRefused ? "refused at the port" : "NOT refused at the port")}
        renewals           {Renewals}
        """) + string.Concat(Incidents.Select(i => "\n" + i));

    public string Json() => JsonSerializer.Serialize(new
    {
        requests = _requests,
        failed = _failed,
        lastFailure = _why,
        requestsPerSecond = Math.Round(PerSecond, 1),
        clientId = ClientId,
        serverId = ServerId,
        tlsVersion = _tlsVersion,
        renewals = Renewals,
        plaintextOnWire = PlaintextOnWire,
        plaintextRefused = PlaintextRefused,
        wireBytes = _wireBytes,
        wireConnections = _wireConnections,
        controlFindings = _controlFindings,
        seconds = Math.Round((Ended - Started).TotalSeconds, 1),
        incidents = Incidents,
        notShown = Shortcomings,
        answeredSinceIncident = Answered - _answeredAtIncident,
    });

    private double PerSecond => (Ended - Started).TotalSeconds is > 0 and var seconds ? _requests / seconds : 0;

    private ProxyFacts? Facts(string name) => _proxies.GetValueOrDefault(name);

    private static DateTimeOffset? Timestamp(IReadOnlyList<Sample> samples, string name) =>
        samples.FirstOrDefault(s => s.Name == name) is { Value: > 0 } sample ? DateTimeOffset.FromUnixTimeMilliseconds((long)(sample.Value * 1000)) : null;

    private static string In(DateTimeOffset? when, DateTimeOffset now) =>
        when is { } at ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, (at - now).TotalSeconds):0} s") : "-";

    private static string Count(long? count) => count?.ToString(CultureInfo.InvariantCulture) ?? "-";

    private sealed class ProxyFacts
    {
        public long Certificates { get; set; }
        public long EarlierRenewals { get; set; }
        public DateTimeOffset? Expires { get; set; }
        public DateTimeOffset? Renews { get; set; }
        public string? Peer { get; set; }
        public long Handshakes { get; set; }
        public string? Group { get; set; }
    }
}
