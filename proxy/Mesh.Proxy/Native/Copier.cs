using System.Runtime.CompilerServices;

namespace Mesh.Proxy.Native;

/// <summary>How a copy ended, and whose doing it was. Downstream is the connection that was accepted, upstream the one that was dialled for it.</summary>
internal enum CopyResult
{
    /// <summary>Both sides said in an orderly way that they were done.</summary>
    Completed = 0,
    DownstreamReset = 1,
    UpstreamReset = 2,

    /// <summary>TLS ended without close_notify. The other side was reset, so that it does not take the part for the whole.</summary>
    DownstreamTruncated = 3,
    UpstreamTruncated = 4,

    /// <summary>A fatal alert from the peer (on the dialling side this is how a refused client certificate shows), or a broken TLS record.</summary>
    DownstreamTlsFailed = 5,
    UpstreamTlsFailed = 6,

    /// <summary>The kernel gave up on unacknowledged data or on keep-alive.</summary>
    DownstreamTimedOut = 7,
    UpstreamTimedOut = 8,

    /// <summary>Any other error of the operating system.</summary>
    DownstreamError = 9,
    UpstreamError = 10,

    /// <summary>Nothing moved in either direction for the allowed time.</summary>
    IdleTimeout = 11,

    /// <summary>This side closed the connection, for example at the end of a drain, or the loop stopped.</summary>
    Stopped = 12,
}

/// <summary>A finished copy: its end and the bytes that were read and handed on in each direction.</summary>
internal readonly record struct CopyOutcome(CopyResult Result, long BytesUp, long BytesDown);

/// <summary>
/// Passes bytes between two transports, both ways at once, until both are done. What one side cannot take is not read from the other: at most one
/// buffer per direction is held. The end of one direction is passed on as the end of that direction only; a failure of either side resets both.
/// </summary>
internal static class Copier
{
    /// <summary>
    /// Copies until the end. The transports are left for the caller to dispose. <paramref name="idleTimeout"/> counts from the last byte in either
    /// direction; <see cref="Timeout.InfiniteTimeSpan"/> for none.
    /// </summary>
    public static async ValueTask<CopyOutcome> CopyAsync(Transport downstream, Transport upstream, TimeSpan idleTimeout)
    {
        var copy = new Copy(downstream, upstream, idleTimeout);
        ValueTask<long> up = copy.PumpAsync(downstream, upstream);
        ValueTask<long> down = copy.PumpAsync(upstream, downstream);
        long bytesUp = await up;
        long bytesDown = await down;
        return new CopyOutcome(copy.Finish(), bytesUp, bytesDown);
    }

    private sealed class Copy
    {
        private readonly Transport _downstream;
        private readonly Transport _upstream;
        private readonly NativeBuffers _buffers;
        private readonly LoopTimer? _idle;
        private readonly long _idleMilliseconds;
        private CopyResult _result = CopyResult.Completed;
        private bool _failed;

        public Copy(Transport downstream, Transport upstream, TimeSpan idleTimeout)
        {
            _downstream = downstream;
            _upstream = upstream;
            _buffers = downstream.Loop.Buffers;
            if (idleTimeout == Timeout.InfiniteTimeSpan) return;
            _idleMilliseconds = (long)idleTimeout.TotalMilliseconds;
            _idle = downstream.Loop.Timer(static s => ((Copy)s!).Fail(CopyResult.IdleTimeout), this);
            _idle.Arm(_idleMilliseconds);
        }

        public CopyResult Finish()
        {
            _idle?.Stop();
            return _result;
        }

        /// <summary>One direction; gives the bytes the sink has taken over. Failures are recorded, not returned.</summary>
        [AsyncMethodBuilder(typeof(LoopMethodBuilder<>))]
        public async ValueTask<long> PumpAsync(Transport source, Transport sink)
        {
            long total = 0;
            int size = NativeBuffers.Small;
            while (true)
            {
                IoStatus status = await source.ReadableAsync();
                if (status != IoStatus.Ok)
                {
                    Blame(source, status);
                    return total;
                }

                NativeBuffer buffer = _buffers.Rent(size);
                IoResult read = source.Read(buffer.Span[..size]);
                if (read.Status == IoStatus.Ok)
                {
                    // Who fills a small buffer is sending in bulk and is worth a large one.
                    size = read.Bytes >= NativeBuffers.Small ? NativeBuffers.BulkSize : NativeBuffers.Small;
                    _idle?.Arm(_idleMilliseconds);
                    int sent = 0;
                    while (sent < read.Bytes)
                    {
                        IoResult written = sink.Write(buffer.Span[sent..read.Bytes]);
                        status = written.Status;
                        if (status == IoStatus.Ok)
                        {
                            sent += written.Bytes;
                            continue;
                        }

                        if (status == IoStatus.WouldBlock) status = await sink.WritableAsync();
                        if (status != IoStatus.Ok) break;
                        _idle?.Arm(_idleMilliseconds);
                    }

                    total += sent;
                    buffer.Return();
                    if (sent == read.Bytes) continue;
                    Blame(sink, status);
                    return total;
                }

                buffer.Return();
                if (read.Status == IoStatus.WouldBlock) continue;
                if (read.Status != IoStatus.End)
                {
                    Blame(source, read.Status);
                    return total;
                }

                status = await sink.ShutdownWriteAsync();
                if (status != IoStatus.Ok) Blame(sink, status);
                return total;
            }
        }

        private void Blame(Transport side, IoStatus status)
        {
            bool downstream = ReferenceEquals(side, _downstream);
            Fail(status switch
            {
                IoStatus.Reset => downstream ? CopyResult.DownstreamReset : CopyResult.UpstreamReset,
                IoStatus.Truncated => downstream ? CopyResult.DownstreamTruncated : CopyResult.UpstreamTruncated,
                IoStatus.TlsAlert or IoStatus.TlsViolation => downstream ? CopyResult.DownstreamTlsFailed : CopyResult.UpstreamTlsFailed,
                IoStatus.TimedOut => downstream ? CopyResult.DownstreamTimedOut : CopyResult.UpstreamTimedOut,
                IoStatus.Closed => CopyResult.Stopped,
                _ => downstream ? CopyResult.DownstreamError : CopyResult.UpstreamError,
            });
        }

        private void Fail(CopyResult result)
        {
            // The first cause counts; what follows is its echo.
            if (_failed) return;
            _failed = true;
            _result = result;
            _downstream.Abort();
            _upstream.Abort();
        }
    }
}
