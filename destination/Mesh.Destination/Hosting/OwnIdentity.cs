using System.Globalization;
using System.Security.Authentication;
using System.Text;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Destination.Settings;
using Mesh.Protocol.Identity;
using Mesh.Spiffe;
using Mesh.Spiffe.Files;
using Mesh.Spiffe.Renewal;

namespace Mesh.Destination.Hosting;

/// <summary>
/// Who this service is: an SVID from the identity service for its ServiceAccount token, as any workload gets one, and the trust
/// anchors from the file that the platform keeps fresh.
/// </summary>
internal sealed partial class OwnIdentity : ITrustBundleSource, IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(8);
    private const int MaxTokenLength = 16 * 1024;

    private readonly DestinationSettings _settings;
    private readonly ILogger _log;
    private readonly DirectoryWatch _watch;
    private readonly GrpcChannel _channel;
    private readonly Protocol.Identity.Identity.IdentityClient _client;
    private volatile TrustBundle? _bundle;
    private readonly TimeProvider _time;
    private volatile string? _problem;

    public OwnIdentity(DestinationSettings settings, TimeProvider time, ILogger<OwnIdentity> log)
    {
        (_settings, _time, _log) = (settings, time, log);
        _watch = new DirectoryWatch(Path.GetDirectoryName(Path.GetFullPath(settings.AnchorsFile))!, Period, time);
        Source = new SvidSource(time, RenewalLimits.Default.Retirement);
        Renewal = new SvidRenewal(settings.OwnId, settings.OwnDnsName, Source, this, ExchangeAsync, RenewalLimits.Default, time, new Random());
        Renewal.Happened += Tell;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            // A renewal comes hours after the last one: a connection of its own each time meets the certificates of its time.
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(5),
            // The token proves who asks; the bundle is looked up during each handshake.
            SslOptions = SvidTls.Client(() => null, this, settings.IdentityId, settings.IdentityAddress.Split(':')[0], time),
        };
        _channel = GrpcChannel.ForAddress("https://" + settings.IdentityAddress, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, TimeProvider = time, MaxReceiveMessageSize = 256 * 1024 });
        _client = new Protocol.Identity.Identity.IdentityClient(_channel);
        ReadBundle();
    }

    public SvidSource Source { get; }

    public SvidRenewal Renewal { get; }

    /// <summary>Null before the first good one.</summary>
    public TrustBundle? Bundle => _bundle;

    /// <summary>Why the anchors file is not in force as it is; null when it is.</summary>
    public string? Problem => _problem;

    public TrustBundle? Find(TrustDomain trustDomain) => _bundle is { } bundle && bundle.TrustDomain == trustDomain ? bundle : null;

    /// <summary>Renews and follows the bundle file until <paramref name="ct"/> fires.</summary>
    public Task RunAsync(CancellationToken ct) => Task.WhenAll(Renewal.RunAsync(ct), FollowBundleAsync(ct));

    public void Dispose()
    {
        _channel.Dispose();
        _watch.Dispose();
        Source.Dispose();
    }

    private async Task FollowBundleAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await _watch.WaitAsync(ct);
                ReadBundle();
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Asked to stop.
        }
    }

    private void ReadBundle()
    {
        string? problem;
        try
        {
            var text = MountedFile.ReadText(_settings.AnchorsFile);
            var good = text.AsSpan().TrimStart().StartsWith("{")
                ? TrustBundle.TryParseJson(_settings.TrustDomain, text, out var bundle, out var fault)
                : TrustBundle.TryParsePem(_settings.TrustDomain, text, out bundle, out fault);
            problem = !good ? fault.Sentence() : bundle!.X509Authorities.IsEmpty ? "It holds no trust anchor." : null;
            if (problem is null)
            {
                if (_bundle is null || !_bundle.HasSameAuthorities(bundle!)) Log.BundleTaken(_log, bundle!.X509Authorities.Length, _settings.AnchorsFile);
                _bundle = bundle;
            }
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            problem = failed.Message;
        }

        if (problem is not null && problem != _problem) Log.BundleRefused(_log, _settings.AnchorsFile, problem);
        _problem = problem;
    }

    private async Task<IssuedChain> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken ct)
    {
        var call = new CertifyRequest { Identity = _settings.OwnId.ToString(), Token = ByteString.CopyFrom(ReadToken()), CertificateSigningRequest = ByteString.CopyFrom(request.Span) };
        try
        {
            var answer = await _client.CertifyAsync(call, deadline: _time.GetUtcNow().UtcDateTime + CallTimeout, cancellationToken: ct);
            return new IssuedChain([answer.LeafCertificate.Memory, .. answer.IntermediateCertificates.Select(c => c.Memory).Take(SvidVerifier.MaxIntermediates)]);
        }
        catch (RpcException refused)
        {
            throw new SvidExchangeException(FaultOf(refused), $"{_settings.IdentityAddress} {refused.StatusCode}: {refused.Status.Detail}", refused);
        }
    }

    private byte[] ReadToken()
    {
        try
        {
            var token = Encoding.ASCII.GetBytes(MountedFile.ReadText(_settings.TokenFile).Trim());
            return token.Length is > 0 and <= MaxTokenLength ? token : throw new SvidExchangeException(RenewalFault.NoCredential, $"{_settings.TokenFile} is empty or larger than 16 KiB");
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            throw new SvidExchangeException(RenewalFault.NoCredential, failed.Message, failed);
        }
    }

    // Away, silent and not the one we expect are three different errands for whoever is woken by it.
    private static RenewalFault FaultOf(RpcException refused)
    {
        for (Exception? cause = refused.Status.DebugException; cause is not null; cause = cause.InnerException)
        {
            if (cause is AuthenticationException) return RenewalFault.AuthorityNotTrusted;
            if (cause is TimeoutException) return RenewalFault.TimedOut;
        }

        return FaultOf(refused.StatusCode);
    }

    private static RenewalFault FaultOf(StatusCode code) => code switch
    {
        StatusCode.InvalidArgument or StatusCode.PermissionDenied or StatusCode.Unauthenticated or StatusCode.FailedPrecondition => RenewalFault.Refused,
        StatusCode.DeadlineExceeded or StatusCode.Cancelled => RenewalFault.TimedOut,
        _ => RenewalFault.Unavailable,
    };

    private void Tell(RenewalEvent happened, RenewalStatus status)
    {
        switch (happened)
        {
            case RenewalEvent.Renewed:
                Log.Renewed(_log, Source.Current!.ToString());
                break;
            case RenewalEvent.Failed:
                Log.NotRenewed(_log, Cause(status), Standing(status, _time.GetUtcNow()), Text(status.NextAttemptAt!.Value));
                break;
            case RenewalEvent.Expired:
                Log.Expired(_log);
                break;
        }
    }

    /// <summary>Why the newest attempt failed: the fixed sentence, and what was met where that says more.</summary>
    internal static string Cause(RenewalStatus status)
    {
        var sentence = status.LastFault.Sentence();
        return status.LastDetail.Length == 0 || status.LastDetail == sentence ? sentence : $"{sentence} ({status.LastDetail})";
    }

    /// <summary>What there is at <paramref name="now"/> without a new certificate.</summary>
    internal static string Standing(RenewalStatus status, DateTimeOffset now) => status.ExpiresAt switch
    {
        null => "there is none yet, so no proxy can connect",
        { } expiry when expiry > now => $"the last one is good until {Text(expiry)}",
        { } expiry => $"the last one expired at {Text(expiry)}, so no proxy can connect",
    };

    private static string Text(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static partial class Log
    {
        [LoggerMessage(4301, LogLevel.Information, "Own certificate: {Svid}", EventName = "Renewed")]
        public static partial void Renewed(ILogger log, string svid);

        [LoggerMessage(4302, LogLevel.Warning, "Own certificate not renewed: {Reason}; {Standing}; next attempt at {Next}", EventName = "NotRenewed")]
        public static partial void NotRenewed(ILogger log, string reason, string standing, string next);

        [LoggerMessage(4303, LogLevel.Error, "Own certificate has expired: proxies cannot connect until the identity service issues one", EventName = "Expired")]
        public static partial void Expired(ILogger log);

        [LoggerMessage(4304, LogLevel.Information, "{Anchors} trust anchors from {Path}", EventName = "BundleTaken")]
        public static partial void BundleTaken(ILogger log, int anchors, string path);

        [LoggerMessage(4305, LogLevel.Warning, "{Path} is not taken: {Reason} The trust anchors before, if any, stay in force", EventName = "BundleRefused")]
        public static partial void BundleRefused(ILogger log, string path, string reason);
    }
}
