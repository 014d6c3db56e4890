using Mesh.Proxy.Connections;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Detect;

/// <summary>What came of waiting for a transport header.</summary>
/// <param name="Status">Ok when a whole message was read; its content may still be at fault.</param>
internal readonly record struct TransportHeaderRead(IoStatus Status, TransportHeaderFault Fault, TransportHeader? Header);

/// <summary>Takes exactly the transport header off a connection: the next byte read is the application's.</summary>
internal static class TransportHeaderReader
{
    public static async ValueTask<TransportHeaderRead> ReadAsync(Transport client, TimeSpan limit)
    {
        using var deadline = new Deadline(client, limit);
        var prefix = new byte[TransportHeader.PrefixLength];
        var status = await ReadExactlyAsync(client, prefix, deadline);
        if (status != IoStatus.Ok) return new TransportHeaderRead(status, TransportHeaderFault.None, null);
        var fault = TransportHeader.ReadPrefix(prefix, out var length);
        if (fault != TransportHeaderFault.None) return new TransportHeaderRead(IoStatus.Ok, fault, null);
        var message = new byte[length];
        status = await ReadExactlyAsync(client, message, deadline);
        if (status != IoStatus.Ok) return new TransportHeaderRead(status, TransportHeaderFault.None, null);
        fault = TransportHeader.TryParse(message, out var header);
        return new TransportHeaderRead(IoStatus.Ok, fault, header);
    }

    private static async ValueTask<IoStatus> ReadExactlyAsync(Transport client, byte[] into, Deadline deadline)
    {
        for (var read = 0; read < into.Length;)
        {
            var status = await client.ReadableAsync();
            if (deadline.HasExpired) return IoStatus.TimedOut;
            if (status != IoStatus.Ok) return status;
            var result = client.Read(into.AsSpan(read));
            if (result.Status == IoStatus.Ok) read += result.Bytes;
            else if (result.Status != IoStatus.WouldBlock) return result.Status;
        }

        return IoStatus.Ok;
    }
}
