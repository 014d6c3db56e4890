using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Mesh.Trust.Issuing;
using Mesh.Trust.Requests;

namespace Mesh.Bench.Issue;

/// <summary>
/// Issuing in process: a certificate request is read, its signature verified, and an SVID written and signed; P-256 throughout, one
/// thread on one core. Beside it what OpenSSL needs for the bare cryptography, and cfssl doing the same work behind its HTTP interface.
/// With <c>--in-process</c> ours alone, for a profiler.
/// </summary>
internal static class IssueBenchmark
{
    private const int Rounds = 9;
    private const int PerRound = 8_000;

    public static async Task<Report> RunAsync(string[] args)
    {
        var report = new Report("issue");
        var requests = Enumerable.Range(0, 512).Select(_ => NewRequest()).ToArray();
        var alone = args.Contains("--in-process");

        // A thread of our own, pinned: a task would move between cores, and between threads at every await.
        var thread = new Thread(() => InProcess(report, requests, withOpenSsl: !alone)) { Name = "issue" };
        thread.Start();
        thread.Join();
        if (alone) return report;

        report.Ratio("in process / OpenSSL sign + verify", "in process: CPU per SVID", "OpenSSL: sign + verify", "1.6");
        var cfssl = await CfsslPeer.MeasureAsync(report, [.. requests.Take(64)]);
        await Certify.CertifyBenchmark.MeasureAsync(report, onlyRsa: true);
        if (!cfssl) return report;
        report.Ratio("in process / cfssl", "in process: CPU per SVID", "cfssl: CPU per certificate", "0.5");
        report.Ratio("certify over TLS / cfssl over plain HTTP", "certify, RS256 tokens: CPU per certificate", "cfssl: CPU per certificate", "0.9");
        return report;
    }

    private static void InProcess(Report report, byte[][] requests, bool withOpenSsl)
    {
        Affinity.PinThisThread(core: 0);
        var trustDomain = TrustDomain.Parse("example.org");
        using var root = CertificateAuthority.CreateRoot(AuthorityProfile.Root(trustDomain), TimeProvider.System);
        using var authority = root.CreateIssuer(AuthorityProfile.Issuer(trustDomain), TimeProvider.System);
        var issuer = new SvidIssuer(trustDomain, [authority.Certificate], root.Certificate, authority.Key, IssuancePolicy.Default, TimeProvider.System);
        var id = SpiffeId.ForServiceAccount(trustDomain, "shop", "web");

        void Issue(int i)
        {
            if (!SigningRequest.TryParse(requests[i % requests.Length], out var request, out var fault)) throw new InvalidOperationException(fault.ToString());
            if (!issuer.TryIssue(new SvidRequest(request.Key, id) { DnsNames = request.DnsNames }, out _, out var refusal)) throw new InvalidOperationException(refusal.ToString());
        }

        void ReadRequest(int i)
        {
            if (!SigningRequest.TryParse(requests[i % requests.Length], out _, out _)) throw new InvalidOperationException();
        }

        for (var i = 0; i < 3 * PerRound; i++) Issue(i);
        var cpu = new List<double>();
        var perSecond = new List<double>();
        var reading = new List<double>();
        var bytes = new List<double>();
        var openssl = new List<double>();
        for (var round = 0; round < Rounds; round++)
        {
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var (microseconds, seconds) = Measure(Issue, PerRound);
            bytes.Add((GC.GetAllocatedBytesForCurrentThread() - allocated) / (double)PerRound);
            cpu.Add(microseconds);
            perSecond.Add(PerRound / seconds);
            reading.Add(Measure(ReadRequest, PerRound / 4).Microseconds);
            // Between our rounds, so that both see the same machine.
            if (withOpenSsl) openssl.Add(OpenSslAsync().GetAwaiter().GetResult());
        }

        report.Figure("in process: CPU per SVID", "us", cpu);
        report.Figure("in process: SVIDs per second and core, by CPU", "1/s", cpu.Select(c => 1e6 / c));
        report.Figure("in process: SVIDs per second, by the clock", "1/s", perSecond);
        report.Figure("in process: of that, the request", "us", reading);
        report.Figure("in process: allocated per SVID", "bytes", bytes);
        if (withOpenSsl) report.Figure("OpenSSL: sign + verify", "us", openssl);
    }

    /// <summary>CPU of the whole process, collector included, in microseconds each; and seconds by the clock in all.</summary>
    private static (double Microseconds, double Seconds) Measure(Action<int> work, int count)
    {
        var before = ProcessCost.CpuNanoseconds(Environment.ProcessId);
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < count; i++) work(i);
        var seconds = clock.Elapsed.TotalSeconds;
        return ((ProcessCost.CpuNanoseconds(Environment.ProcessId) - before) / 1000.0 / count, seconds);
    }

    /// <summary>One signature and one verification of P-256 by <c>openssl speed</c>, in microseconds of CPU.</summary>
    internal static async Task<double> OpenSslAsync()
    {
        var output = await Tool.RunAsync("taskset", "-c", "0", "openssl", "speed", "-seconds", "1", "-mr", "ecdsap256");
        // "+F5:2:256:signatures per second:verifications per second"
        var line = output.Split('\n').Last(l => l.StartsWith("+F", StringComparison.Ordinal)).Split(':');
        return 1e6 / double.Parse(line[3], CultureInfo.InvariantCulture) + 1e6 / double.Parse(line[4], CultureInfo.InvariantCulture);
    }

    private static byte[] NewRequest()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("web.shop.serviceaccount.identity.mesh.example.org");
        var request = new CertificateRequest("CN=web.shop.serviceaccount.identity.mesh.example.org", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSigningRequest();
    }
}
