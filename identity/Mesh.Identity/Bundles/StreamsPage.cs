using System.Text.Json;

namespace Mesh.Identity.Bundles;

/// <summary>The admin page <c>/streams</c>: what <c>mesh trust</c> asks each replica, namely who holds which bundle, since when.</summary>
internal sealed class StreamsPage(BundleStreams streams, BundleFeed feed, TimeProvider time)
{
    public void WriteTo(Utf8JsonWriter json)
    {
        var sequence = feed.Current?.Sequence ?? 0;
        json.WriteStartObject();
        json.WriteString("trustDomain", feed.TrustDomain.Name);
        json.WriteNumber("sequence", sequence);
        json.WriteString("now", time.GetUtcNow());
        json.WriteStartArray("anchors");
        foreach (var anchor in feed.Current?.Bundle.X509Authorities ?? [])
        {
            json.WriteStartObject();
            json.WriteString("sha256", anchor.Sha256);
            json.WriteString("subjectKeyId", Convert.ToHexStringLower(anchor.SubjectKeyId.Span));
            json.WriteString("notAfter", anchor.NotAfter);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("streams");
        foreach (var stream in streams.Snapshot()) WriteStream(json, stream, sequence);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteStream(Utf8JsonWriter json, BundleStream stream, ulong sequence)
    {
        json.WriteStartObject();
        json.WriteString("spiffeId", stream.Peer.ToString());
        json.WriteString("peer", stream.PeerAddress);
        json.WriteString("connectedAt", stream.OpenedAt);
        json.WriteString("state", stream.StateAgainst(sequence).Label());
        if (stream.Holding is { } holding)
        {
            json.WriteString("instanceId", holding.InstanceId);
            json.WriteString("version", holding.Version);
            json.WriteNumber("sequence", holding.Sequence);
            json.WriteString("authorityKeyId", holding.AuthorityKeyId);
            if (holding.SvidExpiresAt is { } expiry) json.WriteString("svidExpiresAt", expiry);
            if (stream.HoldingSince is { } since) json.WriteString("since", since);
            if (holding.Rejection.Length > 0) json.WriteString("rejection", holding.Rejection);
        }

        json.WriteEndObject();
    }
}
