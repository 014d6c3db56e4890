using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Identity.Bundles;
using Mesh.Protocol.Trust;
using Mesh.Spiffe;

namespace Mesh.Identity.Tests.Bundles;

public sealed class BundleStreamsTests
{
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/web");
    private static readonly SpiffeId Api = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/api");
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static BundleStatus Status(ulong sequence, string instance = "pod-1", string rejection = "") => new()
    {
        BundleSequence = sequence,
        AuthorityKeyId = ByteString.CopyFrom(1, 2, 3),
        SpiffeId = Web.ToString(),
        InstanceId = instance,
        Version = "0.1.0",
        Rejection = rejection,
        SvidExpiresAt = Timestamp.FromDateTimeOffset(Start.AddHours(1)),
    };

    private static BundleHolding Holding(BundleStatus status)
    {
        var holding = BundleHolding.Parse(status, Web, out var fault);
        Assert.Equal(HoldingFault.None, fault);
        return holding!;
    }

    private static BundleStream Open(BundleStreams streams, SpiffeId id)
    {
        Assert.True(streams.TryOpen(id, "127.0.0.1:1", Start, out var stream));
        return stream;
    }

    [Fact]
    public void A_status_is_taken_only_under_the_id_of_its_connection()
    {
        var status = Status(1);
        status.SpiffeId = Api.ToString();
        Assert.Null(BundleHolding.Parse(status, Web, out var fault));
        Assert.Equal(HoldingFault.ForeignId, fault);
    }

    [Theory]
    [InlineData("")]
    [InlineData("line\nbreak")]
    [InlineData("unicode-é")]
    public void An_instance_id_is_short_printable_ascii(string instance)
    {
        Assert.Null(BundleHolding.Parse(Status(1, instance), Web, out var fault));
        Assert.Equal(HoldingFault.BadInstanceId, fault);
    }

    [Fact]
    public void Bounds_hold_for_every_field_a_peer_controls()
    {
        Assert.Null(BundleHolding.Parse(Status(1, new string('a', 129)), Web, out var fault));
        Assert.Equal(HoldingFault.BadInstanceId, fault);
        Assert.NotNull(BundleHolding.Parse(Status(1, new string('a', 128)), Web, out _));

        Assert.Null(BundleHolding.Parse(Status(1, rejection: new string('a', 257)), Web, out fault));
        Assert.Equal(HoldingFault.TooLong, fault);

        var status = Status(1);
        status.AuthorityKeyId = ByteString.CopyFrom(new byte[65]);
        Assert.Null(BundleHolding.Parse(status, Web, out fault));
        Assert.Equal(HoldingFault.TooLong, fault);

        status = Status(1);
        status.SvidExpiresAt = new Timestamp { Seconds = long.MaxValue };
        Assert.Null(BundleHolding.Parse(status, Web, out fault));
        Assert.Equal(HoldingFault.BadExpiry, fault);
    }

    [Fact]
    public void States_are_told_against_the_sequence_in_force()
    {
        var streams = new BundleStreams(10, 10);
        Open(streams, Api);
        Open(streams, Web).Take(Holding(Status(5, "current")), Start);
        Open(streams, Web).Take(Holding(Status(4, "behind")), Start);
        Open(streams, Web).Take(Holding(Status(6, "ahead")), Start);
        Open(streams, Web).Take(Holding(Status(5, "rejected", "empty bundle")), Start);
        var counts = streams.CountByState(5);
        Assert.All(HoldingStates.All, state => Assert.Equal(1, counts[(int)state]));
    }

    [Fact]
    public void Since_when_is_counted_from_the_last_real_change()
    {
        var stream = Open(new BundleStreams(10, 10), Web);
        stream.Take(Holding(Status(1)), Start);
        stream.Take(Holding(Status(1)), Start.AddMinutes(1));
        Assert.Equal(Start, stream.HoldingSince);
        stream.Take(Holding(Status(2)), Start.AddMinutes(2));
        Assert.Equal(Start.AddMinutes(2), stream.HoldingSince);
    }

    [Fact]
    public void Of_one_instance_only_the_newest_stream_counts()
    {
        var streams = new BundleStreams(10, 10);
        Open(streams, Web).Take(Holding(Status(1)), Start);
        var back = Open(streams, Web);
        back.Take(Holding(Status(2)), Start);
        Assert.Same(back, Assert.Single(streams.Snapshot()));
    }

    [Fact]
    public void There_is_a_bound_for_all_and_a_bound_for_each_identity()
    {
        var streams = new BundleStreams(3, 2);
        var first = Open(streams, Web);
        Open(streams, Web);
        Assert.False(streams.TryOpen(Web, "", Start, out _));
        Open(streams, Api);
        Assert.False(streams.TryOpen(Api, "", Start, out _));
        streams.Close(first);
        streams.Close(first);
        Assert.Equal(2, streams.Count);
        Open(streams, Web);
    }
}
