using System.Net;
using System.Net.Sockets;

namespace Mesh.Cli.Demo;

/// <summary>
/// A stretch of wire between two proxies that one can look at: a plain TCP relay which every byte between them really
/// crosses, so that what is claimed of the wire is read from it and needs no privilege to capture packets.
/// </summary>
internal sealed class WireTap : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _target;
    private readonly byte[][] _needles;
    private readonly List<Task> _relays = [];
    private readonly Lock _lock = new();
    private Task _accepting = Task.CompletedTask;

    /// <param name="target">Where the relay sends what it gets.</param>
    /// <param name="needles">Byte strings that must not cross in the clear.</param>
    public WireTap(IPEndPoint target, params byte[][] needles)
    {
        _target = target;
        _needles = needles;
        _listener.Start();
    }

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Bytes seen and searched so far, both directions.</summary>
    public long Bytes { get; private set; }

    /// <summary>Connections relayed so far.</summary>
    public int Connections { get; private set; }

    /// <summary>How often one of the needles was found.</summary>
    public long Findings { get; private set; }

    /// <summary>The version the first server hello on the wire selected, for example "TLSv1.3"; null before one was seen.</summary>
    public string? TlsVersion { get; private set; }

    /// <summary>The first bytes a client sent, for the eye.</summary>
    public byte[] FirstBytes { get; private set; } = [];

    public void Start() => _accepting = AcceptAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        Task[] relays;
        lock (_lock) relays = [.. _relays];
        await Task.WhenAll([_accepting, .. relays]);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync(_stop.Token);
            }
            catch (Exception stopped) when (stopped is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            lock (_lock)
            {
                _relays.RemoveAll(r => r.IsCompleted);
                _relays.Add(RelayAsync(client));
            }
        }
    }

    private async Task RelayAsync(Socket client)
    {
        using var _ = client;
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.NoDelay = true;
        try
        {
            await server.ConnectAsync(_target, _stop.Token);
            lock (_lock) Connections++;
            await Task.WhenAll(PumpAsync(client, server, fromServer: false), PumpAsync(server, client, fromServer: true));
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One side went away; the relay ends with it, as a wire would.
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool fromServer)
    {
        var search = new ByteSearch(_needles);
        var buffer = new byte[64 * 1024];
        var first = true;
        try
        {
            while (true)
            {
                var n = await from.ReceiveAsync(buffer, SocketFlags.None, _stop.Token);
                if (n == 0) break;
                Examine(buffer.AsSpan(0, n), search, fromServer, first);
                first = false;
                for (var sent = 0; sent < n;) sent += await to.SendAsync(buffer.AsMemory(sent, n - sent), SocketFlags.None, _stop.Token);
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            from.Close();
            to.Close();
        }
    }

    private void Examine(ReadOnlySpan<byte> bytes, ByteSearch search, bool fromServer, bool first)
    {
        var found = search.Feed(bytes);
        lock (_lock)
        {
            Bytes += bytes.Length;
            Findings += found;
            if (first && fromServer) TlsVersion ??= ServerHello.SelectedVersion(bytes);
            if (first && !fromServer && FirstBytes.Length == 0) FirstBytes = bytes[..Math.Min(16, bytes.Length)].ToArray();
        }
    }
}

/// <summary>Finds byte strings in a stream, also where one is cut by the end of a read.</summary>
internal sealed class ByteSearch
{
    private readonly byte[][] _needles;
    private readonly int _overlap;
    private byte[] _tail = [];

    public ByteSearch(byte[][] needles)
    {
        _needles = needles;
        _overlap = needles.Length == 0 ? 0 : needles.Max(n => n.Length) - 1;
    }

    /// <summary>How many needles end within <paramref name="bytes"/>.</summary>
    public long Feed(ReadOnlySpan<byte> bytes)
    {
        byte[] joined = [.. _tail, .. bytes];
        long found = 0;
        foreach (var needle in _needles)
        {
            for (var at = 0; ;)
            {
                var hit = joined.AsSpan(at).IndexOf(needle);
                if (hit < 0) break;
                // One that lies wholly within the tail was counted the last time.
                if (at + hit + needle.Length > _tail.Length) found++;
                at += hit + 1;
            }
        }

        _tail = joined[^Math.Min(_overlap, joined.Length)..];
        return found;
    }
}

/// <summary>Reads what a TLS server chose from the first record it sends, which is never encrypted (RFC 8446 section 4.1.3).</summary>
internal static class ServerHello
{
    /// <summary>"TLSv1.3", "TLSv1.2", ... or null when <paramref name="record"/> is no server hello.</summary>
    public static string? SelectedVersion(ReadOnlySpan<byte> record)
    {
        // Record: type 22, version, length; handshake: type 2, length(3), legacy_version, random(32), session id.
        if (record.Length < 5 + 4 + 2 + 32 + 1 || record[0] != 22 || record[5] != 2) return null;
        var version = (record[9] << 8) | record[10];
        var at = 5 + 4 + 2 + 32;
        at += 1 + record[at] + 2 + 1;
        if (at + 2 <= record.Length)
        {
            var end = Math.Min(record.Length, at + 2 + ((record[at] << 8) | record[at + 1]));
            at += 2;
            while (at + 4 <= end)
            {
                var type = (record[at] << 8) | record[at + 1];
                var length = (record[at + 2] << 8) | record[at + 3];
                if (type == 43 && length == 2 && at + 6 <= end) version = (record[at + 4] << 8) | record[at + 5];
                at += 4 + length;
            }
        }

        return version switch
        {
            0x0304 => "TLSv1.3",
            0x0303 => "TLSv1.2",
            0x0302 => "TLSv1.1",
            0x0301 => "TLSv1.0",
            _ => null,
        };
    }
}
