using Mesh.Proxy.Http.Streams;

namespace Mesh.Proxy.Http.Http2;

/// <content>Makes what the peer is to get: frames, in the order that windows and fairness allow.</content>
internal sealed partial class Http2Connection
{
    // A frame of the peer's default size: also the share of one stream in a round.
    private const int MaxDataFrame = 16 * 1024;

    // Milliseconds between the two GOAWAYs of a drain: more than a round trip.
    private const long DrainNotice = 1_000;

    // Streams with something to send that their own window allows, in turn.
    private readonly Queue<Http2Stream> _round = new();
    private FlowWindow _sendWindow = new(FlowWindow.Default);
    private int _unsent;
    private int _unreleased;
    private long? _drainAt;

    internal void SendHead(Http2Stream stream, HeaderBlock fields, in MessageHead head, bool end)
    {
        if (stream.IsOver || _end is not null) return;
        if (fields.ListSize > _peer.MaxHeaderListSize)
        {
            Refuse(stream, Http2Fault.FieldListTooLarge);
            return;
        }

        if (stream.State == StreamState.Idle)
        {
            stream.Id = _ids.Next();
            stream.Method = head.Method;
            // Settings may have come since it was opened here.
            stream.SendWindow = new FlowWindow(_peer.InitialWindowSize);
            _streams.Add(stream.Id, stream);
            _unsent--;
        }

        var flags = end ? FrameFlags.EndStream : FrameFlags.None;
        WriteFields(stream, fields, flags);
        if (end) AfterSentEnd(stream);
    }

    internal void SendData(Http2Stream stream, ReadOnlySpan<byte> data, bool end)
    {
        if (stream.IsOver || _end is not null) return;
        if (!data.IsEmpty) _guard.EarnData();
        if (!stream.HasPending)
        {
            var sent = data.IsEmpty ? 0 : WriteData(stream, data, end);
            if (sent > 0) stream.Handler.OnSent(stream, sent);
            if (end && sent == data.Length)
            {
                if (sent == 0) WriteDataFrame(stream, default, FrameFlags.EndStream);
                AfterSentEnd(stream);
                return;
            }

            data = data[sent..];
        }

        if (data.IsEmpty && !end) return;
        stream.Pending.Append(data);
        stream.PendingEnd = end;
        QueueIfReady(stream);
        _output.FlushIfLarge();
    }

    internal void SendTrailers(Http2Stream stream, HeaderBlock fields)
    {
        if (stream.IsOver || _end is not null) return;
        if (stream.HasPending)
        {
            stream.PendingTrailers = new HeaderBlock();
            fields.CopyTo(stream.PendingTrailers);
            QueueIfReady(stream);
            return;
        }

        WriteFields(stream, fields, FrameFlags.EndStream);
        AfterSentEnd(stream);
    }

    internal void Reset(Http2Stream stream, Http2ErrorCode code)
    {
        if (stream.IsOver || _end is not null) return;
        if (stream.State != StreamState.Idle) WriteReset(stream.Id, code);
        Close(stream, StreamState.ResetByUs, StreamFault.None, tell: false);
    }

    internal void Consumed(Http2Stream stream, int bytes)
    {
        if (stream.IsOver) return;
        ReleaseHeld(stream, bytes);
        var increment = stream.ReceiveWindow.Release(bytes);
        if (increment > 0 && stream.State is StreamState.Open or StreamState.HalfClosedLocal) WriteWindowUpdate(stream.Id, increment);
    }

    private void ReleaseHeld(Http2Stream stream, int bytes)
    {
        stream.Held -= bytes;
        _held -= bytes;
        ReleaseConnection(0);
    }

    /// <summary>Opens the connection's window again by what came, unless too much of what came before is still held.</summary>
    private void ReleaseConnection(int received)
    {
        _unreleased += received;
        if (_held > _options.MaxHeld || _unreleased == 0 || _end is not null) return;
        var increment = _receiveWindow.Release(_unreleased);
        _unreleased = 0;
        if (increment > 0) WriteWindowUpdate(0, increment);
    }

    /// <summary>Our direction has ended; when the peer's had before, so has the stream.</summary>
    private void AfterSentEnd(Http2Stream stream)
    {
        if (stream.State == StreamState.Ended && _streams.ContainsKey(stream.Id)) EndStream(stream);
    }

    /// <summary>Writes what the windows and the queue allow, the end with the last byte; gives the bytes written.</summary>
    private int WriteData(Http2Stream stream, ReadOnlySpan<byte> data, bool end)
    {
        var sent = 0;
        while (sent < data.Length && !_output.IsCongested)
        {
            var size = Math.Min(Math.Min(data.Length - sent, MaxDataFrame), Math.Min(stream.SendWindow.Available, _sendWindow.Available));
            if (size <= 0) break;
            stream.SendWindow.TryConsume(size);
            _sendWindow.TryConsume(size);
            var last = end && sent + size == data.Length;
            WriteDataFrame(stream, data.Slice(sent, size), last ? FrameFlags.EndStream : FrameFlags.None);
            sent += size;
        }

        return sent;
    }

    private void QueueIfReady(Http2Stream stream)
    {
        if (stream.IsQueued || !stream.HasPending || (!stream.Pending.IsEmpty && stream.SendWindow.Available <= 0)) return;
        stream.IsQueued = true;
        _round.Enqueue(stream);
    }

    /// <summary>One frame of each stream in turn, while the window of the connection and the queue have room.</summary>
    private void SendPending()
    {
        while (_end is null && !_output.IsCongested && _round.TryPeek(out var stream))
        {
            if (stream.HasPending && !stream.IsOver && !stream.Pending.IsEmpty && _sendWindow.Available <= 0) return;
            _round.Dequeue();
            stream.IsQueued = false;
            if (!stream.IsOver) SendNext(stream);
        }
    }

    private void SendNext(Http2Stream stream)
    {
        var first = stream.Pending.First;
        if (!first.IsEmpty)
        {
            var piece = first[..Math.Min(first.Length, MaxDataFrame)];
            var isLast = piece.Length == stream.Pending.Size && stream.PendingEnd;
            var sent = WriteData(stream, piece, isLast);
            stream.Pending.Advance(sent);
            if (sent > 0) stream.Handler.OnSent(stream, sent);
            if (isLast && sent == piece.Length) stream.PendingEnd = false;
            else QueueIfReady(stream);
            if (stream.HasPending || !isLast) return;
        }
        else if (stream.PendingTrailers is { } trailers)
        {
            stream.PendingTrailers = null;
            WriteFields(stream, trailers, FrameFlags.EndStream);
        }
        else if (stream.PendingEnd)
        {
            stream.PendingEnd = false;
            WriteDataFrame(stream, default, FrameFlags.EndStream);
        }

        AfterSentEnd(stream);
    }

    private void WriteFields(Http2Stream stream, HeaderBlock fields, FrameFlags flags)
    {
        stream.State = StreamRules.Send(stream.State, FrameType.Headers, flags);
        var room = _output.Reserve(FrameWriter.MaxHeadersSize(fields, MaxDataFrame));
        _output.Commit(FrameWriter.WriteHeaders(room, stream.Id, fields, flags, _encoder, MaxDataFrame));
    }

    private void WriteDataFrame(Http2Stream stream, ReadOnlySpan<byte> data, FrameFlags flags)
    {
        stream.State = StreamRules.Send(stream.State, FrameType.Data, flags);
        var room = _output.Reserve(FrameHeader.Size + data.Length);
        var header = FrameWriter.WriteDataHeader(room, stream.Id, data.Length, flags);
        data.CopyTo(room[header..]);
        _output.Commit(header + data.Length);
    }

    private void SendPreface()
    {
        var room = _output.Reserve(256);
        var at = 0;
        if (_options.Role == Http2Role.Client)
        {
            FrameHeader.Preface.CopyTo(room);
            at = FrameHeader.Preface.Length;
        }

        (SettingId, uint)[] settings = _options.Role == Http2Role.Client
            ? [
                (SettingId.EnablePush, 0),
                (SettingId.InitialWindowSize, (uint)_options.StreamWindow),
                (SettingId.MaxHeaderListSize, HttpLimits.MaxFieldList),
            ]
            : [
                (SettingId.MaxConcurrentStreams, (uint)_options.MaxConcurrentStreams),
                (SettingId.InitialWindowSize, (uint)_options.StreamWindow),
                (SettingId.MaxHeaderListSize, HttpLimits.MaxFieldList),
                (SettingId.EnableConnectProtocol, _options.Connect == ConnectForm.Extended ? 1u : 0u),
            ];
        at += FrameWriter.WriteSettings(room[at..], settings);
        at += FrameWriter.WriteWindowUpdate(room[at..], 0, _options.MaxHeld - FlowWindow.Default);
        _output.Commit(at);
    }

    private void WriteSettingsAck() => _output.Commit(FrameWriter.WriteSettingsAck(_output.Reserve(FrameWriter.MaxControlFrame)));

    private void WritePing(FrameFlags flags, ReadOnlySpan<byte> opaque) =>
        _output.Commit(FrameWriter.WritePing(_output.Reserve(FrameWriter.MaxControlFrame), flags, opaque));

    private void WriteGoAway(int last, Http2ErrorCode code) => _output.Commit(FrameWriter.WriteGoAway(_output.Reserve(FrameWriter.MaxControlFrame), last, code));

    private void WriteReset(int id, Http2ErrorCode code) => _output.Commit(FrameWriter.WriteRstStream(_output.Reserve(FrameWriter.MaxControlFrame), id, code));

    private void WriteWindowUpdate(int id, int increment) =>
        _output.Commit(FrameWriter.WriteWindowUpdate(_output.Reserve(FrameWriter.MaxControlFrame), id, increment));
}
