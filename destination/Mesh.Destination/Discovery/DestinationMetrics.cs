namespace Mesh.Destination.Discovery;

/// <summary>What discovery counts about itself.</summary>
internal sealed class DestinationMetrics
{
    private long _open, _opened, _updates, _refused, _tlsAccepted, _tlsRefused;

    public void StreamOpened()
    {
        Interlocked.Increment(ref _opened);
        Interlocked.Increment(ref _open);
    }

    public void StreamClosed() => Interlocked.Decrement(ref _open);

    public void UpdateWritten() => Interlocked.Increment(ref _updates);

    public void CallRefused() => Interlocked.Increment(ref _refused);

    /// <summary>A client certificate was judged during a handshake.</summary>
    public void ClientJudged(bool accepted) => Interlocked.Increment(ref accepted ? ref _tlsAccepted : ref _tlsRefused);

    public void WriteTo(PrometheusText text)
    {
        text.Gauge("mesh_destination_streams", "Open discovery streams.", Interlocked.Read(ref _open));
        text.Counter("mesh_destination_streams_opened_total", "Discovery streams opened.", Interlocked.Read(ref _opened));
        text.Counter("mesh_destination_updates_total", "Messages written to discovery streams.", Interlocked.Read(ref _updates));
        text.Counter("mesh_destination_calls_refused_total", "Calls refused: no identity, another trust domain, no authority, unknown service, no services read yet.", Interlocked.Read(ref _refused));
        const string clients = "mesh_destination_client_certificates_total";
        text.Header(clients, "Client certificates judged, by result.", "counter");
        text.Sample(clients, Interlocked.Read(ref _tlsAccepted), ("result", "accepted"));
        text.Sample(clients, Interlocked.Read(ref _tlsRefused), ("result", "refused"));
    }
}
