using System.Security.Cryptography;
using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protocol.Trust;
using Mesh.Proxy.Control;
using Mesh.Spiffe;
using Mesh.Spiffe.Renewal;

namespace Mesh.Proxy.Identity;

/// <summary>
/// The stream on which the identity service pushes bundles and hears what this proxy holds. It is reopened for ever; while it is away,
/// what is in force stays in force.
/// </summary>
internal sealed class BundleStream(ControlChannel channel, IdentityState state, SvidRenewal renewal, string version, TimeProvider time, Random random)
{
    private const string Path = "/mesh.trust.v1.Trust/StreamBundles";

    // The first update is owed at once; a server that accepts and says nothing must not keep us from trying another.
    private static readonly TimeSpan FirstUpdateTimeout = TimeSpan.FromSeconds(10);

    private readonly string _instance = Guid.NewGuid().ToString("N");
    private ProxyIdentity? _confirmed;
    private bool _told;
    private ulong _renewedFor;
    private volatile bool _connected;
    private volatile string _fault = "";

    /// <summary>Whether an update has come since the stream was last opened.</summary>
    public bool Connected => _connected;

    /// <summary>What ended the stream last; empty while it works.</summary>
    public string Fault => _fault;

    /// <summary>Streams that were opened and brought at least one update.</summary>
    public long Opened { get; private set; }

    /// <summary>Raised when the service has begun to push and when it is away, with the reason.</summary>
    public event Action<bool, string>? ConnectedChanged;

    /// <summary>Raised for each update, with what was decided.</summary>
    public event Action<BundleUpdate, BundleRefusal>? Updated;

    /// <summary>Keeps a stream open until <paramref name="ct"/> fires, and then returns.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        // A replica that stops ends all its streams at once; a second is enough to keep them from all coming back at once.
        var backoff = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10), random);
        try
        {
            while (true)
            {
                if (state.Usable is not null)
                {
                    await OpenAsync(backoff, ct);
                }
                else
                {
                    // The service would refuse us; renewal is what is needed, and the stream as soon as it has succeeded.
                    Away("no valid certificate to authenticate with");
                    backoff.Reset();
                }

                await Task.Delay(backoff.Next(), time, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }

    private async Task OpenAsync(Backoff backoff, CancellationToken ct)
    {
        long opened = Opened;
        try
        {
            await ConverseAsync(backoff, ct);
            _fault = "the service ended the stream";
        }
        catch (GrpcCallException e)
        {
            _fault = e.Message;
        }

        _connected = false;
        // A stream that worked and has ended is reopened at once and says nothing: services end streams when they stop, and when the
        // certificate that opened them has expired. The service is away when an attempt brings nothing.
        if (Opened == opened) Away(_fault);
    }

    private void Away(string reason)
    {
        _fault = reason;
        if (!_told) return;
        _told = false;
        state.StreamEnded();
        ConnectedChanged?.Invoke(false, reason);
    }

    private async Task ConverseAsync(Backoff backoff, CancellationToken ct)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var late = new CancellationTokenSource(FirstUpdateTimeout, time);
        using var opening = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            await using GrpcStream<BundleStatus, BundleUpdate> stream = await channel.ConverseAsync(Path, await StatusAsync(ct), BundleUpdate.Parser, opening.Token);
            BundleUpdate? update = await stream.ReadAsync(opening.Token);
            if (update is null) return;
            // One pending mark is enough: a status says all there is to say at the moment it is written.
            var marks = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
            void Mark() => marks.Writer.TryWrite(true);
            state.Changed += Mark;
            Task answers = AnswerAsync(stream, marks.Reader, ending.Token);
            try
            {
                _connected = true;
                _fault = "";
                Opened++;
                if (!_told) ConnectedChanged?.Invoke(true, "");
                _told = true;
                for (bool first = true; update is not null; update = await stream.ReadAsync(ct), first = false)
                {
                    backoff.Reset();
                    Take(update, first);
                    // Also when nothing has changed: every update is owed an answer.
                    Mark();
                    if (answers.IsCompleted) break;
                }
            }
            finally
            {
                state.Changed -= Mark;
                await ending.CancelAsync();
                await answers;
            }
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new GrpcCallException(GrpcStatusCode.DeadlineExceeded, "the service did not send a first update in time");
        }
    }

    private void Take(BundleUpdate update, bool first)
    {
        BundleRefusal refusal = state.Offer(update);
        Updated?.Invoke(update, refusal);
        // A stream begins with the update in force, which may ask for what was done when it came on the stream before.
        if (!update.RenewNow || (first && update.Sequence == _renewedFor)) return;
        _renewedFor = update.Sequence;
        renewal.RenewSoon(TimeSpan.FromMilliseconds(update.RenewWithinMs));
    }

    private async Task AnswerAsync(GrpcStream<BundleStatus, BundleUpdate> stream, ChannelReader<bool> marks, CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await marks.ReadAsync(ct);
                await stream.WriteAsync(await StatusAsync(ct), ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
        catch (GrpcCallException)
        {
            // The reader learns of the same end, with the status that the server gave for it.
        }
    }

    private async Task<BundleStatus> StatusAsync(CancellationToken ct)
    {
        IdentityState.Publication published = state.Published!;
        string rejection = state.LastRefusal.Sentence();
        // What is not in force at everyone who follows must not be confirmed: a rotation would move on too early.
        try
        {
            await published.InForce.WaitAsync(ct);
            _confirmed = published.Identity;
        }
        catch (CryptographicException e)
        {
            rejection = $"the TLS library refuses the certificate: {e.Message}";
        }

        if (_confirmed is not { } identity) return new BundleStatus { SpiffeId = published.Identity.Svid.Id.ToString(), InstanceId = _instance, Version = version, Rejection = rejection };
        Certificate leaf = identity.Svid.Leaf;
        ReadOnlyMemory<byte> authority = leaf.AuthorityKeyId.IsEmpty && identity.Svid.Chain.Length > 1 ? identity.Svid.Chain[1].SubjectKeyId : leaf.AuthorityKeyId;
        return new BundleStatus
        {
            BundleSequence = identity.BundleSequence,
            AuthorityKeyId = ByteString.CopyFrom(authority.Span),
            SvidExpiresAt = Timestamp.FromDateTimeOffset(leaf.NotAfter),
            SpiffeId = identity.Svid.Id.ToString(),
            InstanceId = _instance,
            Version = version,
            Rejection = rejection,
        };
    }
}
