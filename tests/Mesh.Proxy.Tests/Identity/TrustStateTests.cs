using Google.Protobuf;
using Mesh.Protocol.Trust;
using Mesh.Proxy.Identity;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Identity;

public sealed class TrustStateTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Id = SpiffeId.Parse("spiffe://example.org/ns/web/sa/front");

    private readonly ManualTime _time = new();
    private readonly TestAuthority _old;
    private readonly TestAuthority _new;
    private readonly X509Svid _svid;
    private TrustState _state = new() { TrustDomain = Domain };

    public TrustStateTests()
    {
        _old = TestAuthority.CreateRoot(time: _time).CreateIntermediate();
        _new = TestAuthority.CreateRoot(time: _time).CreateIntermediate();
        _svid = _old.CreateSvid(Id);
    }

    private DateTimeOffset Now => _time.GetUtcNow();

    private TrustBundle Both => Bundle(_old, _new);

    [Fact]
    public void The_file_is_in_force_until_the_stream_speaks()
    {
        _state = _state.WithFile(_old.Bundle);
        Assert.Same(_old.Bundle.X509Authorities[0], _state.InForce!.X509Authorities[0]);
        Assert.Equal(0ul, _state.Sequence);

        _state = _state.WithFile(Both);
        Assert.Equal(2, _state.InForce!.X509Authorities.Length);
    }

    [Fact]
    public void The_stream_wins_over_the_file_while_it_lasts()
    {
        _state = _state.WithFile(_old.Bundle).WithOffer(Both, 7, _svid, Now);
        Assert.True(_state.InForce!.HasSameAuthorities(Both));
        Assert.Equal(7ul, _state.Sequence);

        _state = _state.WithFile(Bundle(_new));
        Assert.True(_state.InForce!.HasSameAuthorities(Both));
        Assert.Equal(7ul, _state.Sequence);
    }

    [Fact]
    public void A_file_that_the_stream_has_replaced_never_comes_back()
    {
        // The platform refreshes files minutes after the stream; a retired anchor must not be trusted again meanwhile.
        _state = _state.WithFile(Both).WithOffer(Bundle(_old), 8, _svid, Now).WithoutStream().WithFile(Both);
        Assert.True(_state.InForce!.HasSameAuthorities(Bundle(_old)));
        Assert.DoesNotContain(_new.Root.Certificate, _state.ForControlPlane!.X509Authorities);
        Assert.Equal(8ul, _state.Sequence);
    }

    [Fact]
    public void A_file_with_news_counts_while_the_stream_is_away()
    {
        _state = _state.WithFile(_old.Bundle).WithOffer(_old.Bundle, 1, _svid, Now).WithoutStream();
        Assert.Equal(1ul, _state.Sequence);
        _state = _state.WithFile(Bundle(_new));
        Assert.True(_state.InForce!.HasSameAuthorities(Bundle(_new)));
        Assert.Equal(0ul, _state.Sequence);
    }

    [Fact]
    public void A_file_with_news_that_came_before_the_stream_was_lost_counts_as_well()
    {
        _state = _state.WithFile(_old.Bundle).WithOffer(_old.Bundle, 1, _svid, Now).WithFile(Bundle(_new));
        Assert.True(_state.InForce!.HasSameAuthorities(_old.Bundle));
        // It missed the rotation because the connection was dead and nobody had noticed.
        Assert.Contains(_new.Root.Certificate, _state.ForControlPlane!.X509Authorities);
        _state = _state.WithoutStream();
        Assert.True(_state.InForce!.HasSameAuthorities(Bundle(_new)));
    }

    [Fact]
    public void A_growing_sequence_is_taken()
    {
        _state = _state.WithOffer(_old.Bundle, 1, _svid, Now).WithOffer(Both, 2, _svid, Now);
        Assert.Equal(2ul, _state.Sequence);
        Assert.Null(_state.Held);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void An_older_sequence_with_other_content_is_held_back(ulong sequence)
    {
        _state = _state.WithOffer(Both, 5, _svid, Now).WithOffer(Bundle(_old), sequence, _svid, Now);
        Assert.Equal(5ul, _state.Sequence);
        Assert.True(_state.InForce!.HasSameAuthorities(Both));
        Assert.Equal(BundleRefusal.OlderThanInForce, _state.Held!.Refusal);
    }

    [Fact]
    public void An_older_sequence_with_the_same_content_is_no_rollback()
    {
        // A replica whose numbers lag but whose anchors do not.
        _state = _state.WithOffer(Both, 5, _svid, Now).WithOffer(Both, 4, _svid, Now);
        Assert.Equal(4ul, _state.Sequence);
        Assert.Null(_state.Held);
    }

    [Fact]
    public void An_authority_that_counts_from_the_start_again_does_not_lose_us()
    {
        _state = _state.WithOffer(Both, 500, _svid, Now).WithOffer(_old.Bundle, 1, _svid, Now);
        _time.Advance(TrustState.RollbackPatience - TimeSpan.FromSeconds(1));
        _state = _state.WithHeldJudged(_svid, Now);
        Assert.Equal(500ul, _state.Sequence);
        // Offering it again does not start the wait again.
        _time.Advance(TimeSpan.FromSeconds(1));
        _state = _state.WithOffer(_old.Bundle, 1, _svid, Now);
        Assert.Equal(1ul, _state.Sequence);
        Assert.True(_state.InForce!.HasSameAuthorities(_old.Bundle));
    }

    [Fact]
    public void An_older_bundle_that_nobody_offers_any_more_is_forgotten()
    {
        _state = _state.WithOffer(Both, 5, _svid, Now).WithOffer(_old.Bundle, 4, _svid, Now).WithoutStream();
        _time.Advance(TimeSpan.FromHours(1));
        _state = _state.WithHeldJudged(_svid, Now);
        Assert.Equal(5ul, _state.Sequence);
    }

    [Fact]
    public void A_bundle_that_would_orphan_our_certificate_waits_for_its_renewal()
    {
        _state = _state.WithOffer(_old.Bundle, 1, _svid, Now).WithOffer(Bundle(_new), 2, _svid, Now);
        Assert.Equal(BundleRefusal.OrphansOwnCertificate, _state.Held!.Refusal);
        Assert.Equal(1ul, _state.Sequence);
        // Whoever signs the renewal may already be of the new generation.
        Assert.Contains(_new.Root.Certificate, _state.ForControlPlane!.X509Authorities);
        Assert.Contains(_old.Root.Certificate, _state.ForControlPlane.X509Authorities);

        _state = _state.WithHeldJudged(_new.CreateSvid(Id), Now);
        Assert.Equal(2ul, _state.Sequence);
        Assert.Null(_state.Held);
    }

    [Fact]
    public void A_bundle_never_waits_for_a_certificate_that_has_expired()
    {
        _state = _state.WithOffer(_old.Bundle, 1, _svid, Now).WithOffer(Bundle(_new), 2, _svid, Now);
        _time.Advance(TimeSpan.FromHours(2));
        _state = _state.WithHeldJudged(_svid, Now);
        Assert.Equal(2ul, _state.Sequence);
    }

    [Fact]
    public void An_update_is_parsed_whole_or_not_at_all()
    {
        Assert.Equal(BundleRefusal.None, Parse(u => { }));
        Assert.Equal(BundleRefusal.OtherTrustDomain, Parse(u => u.TrustDomain = "example.com"));
        Assert.Equal(BundleRefusal.OtherTrustDomain, Parse(u => u.TrustDomain = "Not a name"));
        Assert.Equal(BundleRefusal.NoSequence, Parse(u => u.Sequence = 0));
        Assert.Equal(BundleRefusal.Empty, Parse(u => u.Anchors.Clear()));
        Assert.Equal(BundleRefusal.Unparsable, Parse(u => u.Anchors.Add(ByteString.CopyFromUtf8("no certificate"))));
        Assert.Equal(BundleRefusal.TooLarge, Parse(u => u.Anchors.AddRange(Enumerable.Repeat(u.Anchors[0], TrustState.MaxAnchors))));
    }

    [Fact]
    public void Every_refusal_has_a_sentence_and_a_label()
    {
        BundleRefusal[] all = Enum.GetValues<BundleRefusal>();
        Assert.Equal(BundleRefusals.Count, all.Length);
        Assert.Equal(all.Length, all.Select(r => r.Sentence()).Distinct().Count());
        Assert.Equal(all.Length, all.Select(r => r.Label()).Distinct().Count());
    }

    private BundleRefusal Parse(Action<BundleUpdate> change)
    {
        var update = new BundleUpdate { TrustDomain = "example.org", Sequence = 3 };
        update.Anchors.Add(ByteString.CopyFrom(_old.Root.Certificate.Der.Span));
        change(update);
        BundleRefusal refusal = TrustState.Parse(update, Domain, out TrustBundle? bundle);
        Assert.Equal(refusal == BundleRefusal.None, bundle is not null);
        return refusal;
    }

    private static TrustBundle Bundle(params TestAuthority[] authorities) => new(Domain, authorities.Select(a => a.Root.Certificate));
}
