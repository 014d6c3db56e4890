using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http2;

/// <content>Takes what the peer sends: bytes, frames, messages.</content>
internal sealed partial class Http2Connection
{
    private NativeBuffer? _input;
    private int _inputLength;
    private bool _prefaceSeen;
    private bool _bulk;
    private ReceiveWindow _receiveWindow;
    private int _held;
    private long _lastRead;
    private long? _frameBegan;
    private long? _pingSent;

    // The DATA frame whose payload is being read; the stream is null when the data is dropped.
    private FrameHeader _dataFrame;
    private DataPayload _data;
    private Http2Stream? _dataStream;
    private bool _inData;

    // What the first frame of the field block under way did wrong; its block must be decoded all the same.
    private Http2Fault _blockFault;

    private async ValueTask ReadAsync()
    {
        try
        {
            while (_end is null)
            {
                var status = await _transport.ReadableAsync();
                if (_end is not null) return;
                if (status == IoStatus.Ok) status = ReadOnce();
                if (status is IoStatus.Ok or IoStatus.WouldBlock) continue;
                EndOfInput(status);
            }
        }
        finally
        {
            _input?.Return();
            _input = null;
        }
    }

    private IoStatus ReadOnce()
    {
        _input ??= Loop.Buffers.Rent(_bulk ? NativeBuffers.BulkSize : NativeBuffers.Small);
        var room = _input.Span[_inputLength..];
        var read = _transport.Read(room);
        if (read.Status == IoStatus.Ok)
        {
            _lastRead = Loop.Now;
            _bulk = read.Bytes == room.Length;
            _inputLength += read.Bytes;
            var taken = Take(_input.Span[.._inputLength]);
            Keep(taken);
            SettleClosed();
            _output.FlushIfLarge();
        }
        else if (_inputLength == 0)
        {
            _input.Return();
            _input = null;
        }

        return read.Status;
    }

    /// <summary>What is left of the input waits in front of a buffer that the whole frame fits in.</summary>
    private void Keep(int taken)
    {
        var left = _inputLength - taken;
        _inputLength = left;
        if (left == 0)
        {
            if (_settingsSeen) _frameBegan = _assembly.StreamId != 0 ? _frameBegan ?? Loop.Now : null;
            _input!.Return();
            _input = null;
            return;
        }

        if (_frameBegan is null || (taken > 0 && _assembly.StreamId == 0 && _settingsSeen)) _frameBegan = Loop.Now;
        var rest = _input!.Span.Slice(taken, left);
        if (_input.Length == NativeBuffers.Small && FrameHeader.TryRead(rest, out var frame) && frame.Length + FrameHeader.Size > _input.Length)
        {
            var larger = Loop.Buffers.Rent(NativeBuffers.Large);
            rest.CopyTo(larger.Span);
            _input.Return();
            _input = larger;
        }
        else
        {
            rest.CopyTo(_input.Span);
        }
    }

    private void EndOfInput(IoStatus status)
    {
        // An end between frames, with nothing under way, is how connections end.
        var orderly = status == IoStatus.End && _streams.Count == 0 && _frameBegan is null;
        End(new Http2End(orderly ? Http2EndKind.Closed : Http2EndKind.Lost, Http2Fault.None, status));
    }

    /// <summary>Takes as many frames, and as much of a DATA frame, as are there; gives the bytes done with.</summary>
    private int Take(ReadOnlySpan<byte> input)
    {
        var at = 0;
        if (!_prefaceSeen)
        {
            if (_options.Role == Http2Role.Server)
            {
                var preface = FrameHeader.Preface;
                var common = Math.Min(preface.Length, input.Length);
                if (!input[..common].SequenceEqual(preface[..common])) Fail(Http2Fault.BadPreface);
                if (common < preface.Length || _end is not null) return 0;
                at = preface.Length;
            }

            _prefaceSeen = true;
        }

        while (_end is null)
        {
            if (_inData)
            {
                at += TakeData(input[at..]);
                if (_inData) break;
                continue;
            }

            if (!FrameHeader.TryRead(input[at..], out var frame)) break;
            if (!_settingsSeen && (frame.Type != FrameType.Settings || frame.Has(FrameFlags.Ack)))
            {
                Fail(Http2Fault.BadPreface);
                break;
            }

            if (FrameRules.Check(frame, _assembly.StreamId) is var fault and not Http2Fault.None)
            {
                // A PRIORITY of a wrong size is its stream's fault alone.
                if (Http2Faults.EndsConnection(fault) || input.Length - at < FrameHeader.Size + frame.Length)
                {
                    if (!Http2Faults.EndsConnection(fault)) break;
                    Fail(fault);
                    break;
                }

                at += FrameHeader.Size + frame.Length;
                Refuse(frame.StreamId, fault);
                continue;
            }

            if (frame.Type == FrameType.Data)
            {
                at += FrameHeader.Size;
                BeginData(frame);
                continue;
            }

            if (input.Length - at < FrameHeader.Size + frame.Length) break;
            TakeFrame(frame, input.Slice(at + FrameHeader.Size, frame.Length));
            at += FrameHeader.Size + frame.Length;
        }

        return at;
    }

    private void TakeFrame(in FrameHeader frame, ReadOnlySpan<byte> payload)
    {
        switch (frame.Type)
        {
            case FrameType.Headers:
                TakeHeaders(frame, payload);
                break;
            case FrameType.Continuation:
                if (payload.IsEmpty && !frame.Has(FrameFlags.EndHeaders)) Pay(IdleFrame.Empty);
                TakeFragment(frame, payload, Http2Fault.None);
                break;
            case FrameType.RstStream:
                TakeReset(frame, Payloads.ReadRstStream(payload));
                break;
            case FrameType.Settings:
                TakeSettings(frame, payload);
                break;
            case FrameType.Ping:
                if (frame.Has(FrameFlags.Ack))
                {
                    _pingSent = null;
                    break;
                }

                Pay(IdleFrame.Ping);
                WritePing(FrameFlags.Ack, payload);
                break;
            case FrameType.GoAway:
                TakeGoAway(payload);
                break;
            case FrameType.WindowUpdate:
                TakeWindowUpdate(frame, payload);
                break;
            case FrameType.Priority:
                Pay(IdleFrame.Skipped);
                if (Payloads.ReadPriority(frame, payload) is var fault and not Http2Fault.None) Refuse(frame.StreamId, fault);
                break;
            default:
                Pay(IdleFrame.Skipped);
                break;
        }
    }

    private void TakeHeaders(in FrameHeader frame, ReadOnlySpan<byte> payload)
    {
        var fault = Payloads.ReadHeaders(frame, payload, out var fragment);
        if (Http2Faults.EndsConnection(fault)) Fail(fault);
        else TakeFragment(frame, fragment, fault);
    }

    private void TakeFragment(in FrameHeader frame, ReadOnlySpan<byte> fragment, Http2Fault pending)
    {
        var fault = _assembly.Add(frame, fragment, out var block);
        if (fault != Http2Fault.None)
        {
            Fail(fault);
            return;
        }

        if (frame.Type == FrameType.Headers) _blockFault = pending;
        if (_assembly.StreamId != 0) return;
        // The tables of both sides must stay the same, whatever becomes of the message.
        _fields.Clear();
        var decoded = _decoder.Decode(block, _fields);
        if (decoded is not (HpackFault.None or HpackFault.ListTooLarge))
        {
            Fail(Http2Fault.CompressionFailed);
            return;
        }

        TakeFields(frame.StreamId, _assembly.Flags, decoded == HpackFault.ListTooLarge ? Http2Fault.FieldListTooLarge : _blockFault);
    }

    private void TakeFields(int id, FrameFlags flags, Http2Fault fault)
    {
        var stream = _streams.GetValueOrDefault(id);
        var step = StreamRules.Receive(stream?.State ?? _ids.StateOf(id), FrameType.Headers, flags);
        if (step.Fault != Http2Fault.None)
        {
            Refuse(id, step.Fault);
            return;
        }

        if (step.IsIgnored) return;
        if (stream is null)
        {
            BeginRequest(id, step.Next, flags, fault);
            return;
        }

        if (fault != Http2Fault.None)
        {
            Refuse(stream, fault);
            return;
        }

        if (stream.HasHead) TakeTrailers(stream, step.Next, flags);
        else TakeResponse(stream, step.Next, flags);
    }

    private void BeginRequest(int id, StreamState next, FrameFlags flags, Http2Fault fault)
    {
        var opened = _ids.Open(id, _streams.Count, _options.MaxConcurrentStreams);
        if (opened == Http2Fault.None && _goAwaySent) opened = Http2Fault.TooManyStreams;
        if (opened == Http2Fault.None) opened = fault;
        MessageHead head = default;
        if (opened == Http2Fault.None) opened = MessageRules.CheckRequest(_fields, _options.Connect, out head);
        var ends = (flags & FrameFlags.EndStream) != 0;
        var body = new BodyLength(head.Method == RequestMethod.Connect ? null : head.ContentLength);
        if (opened == Http2Fault.None && ends) opened = body.End();
        if (opened != Http2Fault.None)
        {
            RefuseUnopened(id, opened);
            return;
        }

        RequestTranslation.FromHttp2(_fields);
        var stream = Rent(id);
        stream.State = next;
        stream.HasHead = true;
        stream.Method = head.Method;
        stream.Body = body;
        _streams.Add(id, stream);
        _requests!.Accept(stream);
        stream.Handler.OnHead(stream, _fields, head with { Version = HttpVersion.Http2 }, ends);
    }

    private void TakeResponse(Http2Stream stream, StreamState next, FrameFlags flags)
    {
        var ends = (flags & FrameFlags.EndStream) != 0;
        var fault = MessageRules.CheckResponse(_fields, out var head);
        if (fault == Http2Fault.None && head.IsInterim && ends) fault = Http2Fault.BadStatus;
        if (fault == Http2Fault.None && !head.IsInterim)
        {
            stream.HasHead = true;
            var tunnel = stream.Method == RequestMethod.Connect && head.Status is >= 200 and < 300;
            stream.Body = tunnel ? new BodyLength(null) : BodyLength.OfResponse(head, stream.Method);
            if (ends) fault = stream.Body.End();
        }

        if (fault != Http2Fault.None)
        {
            Refuse(stream, fault);
            return;
        }

        stream.State = next;
        stream.Handler.OnHead(stream, _fields, head with { Version = HttpVersion.Http2 }, ends);
        if (ends) AfterEnd(stream);
    }

    private void TakeTrailers(Http2Stream stream, StreamState next, FrameFlags flags)
    {
        var fault = (flags & FrameFlags.EndStream) == 0 ? Http2Fault.TrailersWithoutEnd : MessageRules.CheckTrailers(_fields);
        if (fault == Http2Fault.None) fault = stream.Body.End();
        if (fault != Http2Fault.None)
        {
            Refuse(stream, fault);
            return;
        }

        stream.State = next;
        stream.Handler.OnTrailers(stream, _fields);
        AfterEnd(stream);
    }

    /// <summary>The peer's direction has ended; when ours had before, so has the stream.</summary>
    private void AfterEnd(Http2Stream stream)
    {
        if (stream.State == StreamState.Ended && _streams.ContainsKey(stream.Id)) EndStream(stream);
    }

    private void EndStream(Http2Stream stream)
    {
        _guard.EarnStream();
        Close(stream, StreamState.Ended, StreamFault.None);
    }

    private void BeginData(in FrameHeader frame)
    {
        if (!_receiveWindow.TryReceive(frame.Length))
        {
            Fail(Http2Fault.ConnectionWindowExceeded);
            return;
        }

        var stream = _streams.GetValueOrDefault(frame.StreamId);
        var step = StreamRules.Receive(stream?.State ?? _ids.StateOf(frame.StreamId), FrameType.Data, frame.Flags);
        var fault = step.Fault;
        if (fault == Http2Fault.None && step.IsAccepted && !stream!.HasHead) fault = Http2Fault.MissingPseudoField;
        if (fault == Http2Fault.None && step.IsAccepted && !stream!.ReceiveWindow.TryReceive(frame.Length)) fault = Http2Fault.StreamWindowExceeded;
        if (fault != Http2Fault.None)
        {
            Refuse(frame.StreamId, fault);
            if (_end is not null) return;
        }

        _dataFrame = frame;
        _data = new DataPayload(frame);
        _dataStream = fault == Http2Fault.None && step.IsAccepted ? stream : null;
        _inData = true;
        if (_dataStream is { } live)
        {
            live.Held += frame.Length;
            _held += frame.Length;
        }

        ReleaseConnection(frame.Length);
    }

    private int TakeData(ReadOnlySpan<byte> input)
    {
        var fault = _data.Read(input, out var consumed, out var data);
        if (fault != Http2Fault.None)
        {
            Fail(fault);
            _inData = false;
            return 0;
        }

        var complete = _data.IsComplete;
        if (complete)
        {
            _inData = false;
            // Padding is nothing too.
            if (_data.DataLength == 0 && !_dataFrame.Has(FrameFlags.EndStream)) Pay(IdleFrame.Empty);
            if (_end is not null) return consumed;
        }

        if (_dataStream is not { } stream) return consumed;
        var ends = complete && _dataFrame.Has(FrameFlags.EndStream);
        if (!data.IsEmpty)
        {
            fault = stream.Body.Receive(data.Length);
            _guard.EarnData();
        }

        if (fault == Http2Fault.None && ends) fault = stream.Body.End();
        if (fault != Http2Fault.None)
        {
            Refuse(stream, fault);
            return consumed;
        }

        if (complete && _data.Overhead > 0) Consumed(stream, _data.Overhead);
        if (ends) stream.State = StreamRules.Receive(stream.State, FrameType.Data, FrameFlags.EndStream).Next;
        if (!data.IsEmpty || ends) stream.Handler.OnData(stream, data, ends);
        if (ends) AfterEnd(stream);
        if (complete) _dataStream = null;
        return consumed;
    }

    private void TakeReset(in FrameHeader frame, Http2ErrorCode code)
    {
        var stream = _streams.GetValueOrDefault(frame.StreamId);
        var step = StreamRules.Receive(stream?.State ?? _ids.StateOf(frame.StreamId), FrameType.RstStream, frame.Flags);
        if (step.Fault != Http2Fault.None)
        {
            Refuse(frame.StreamId, step.Fault);
            return;
        }

        Pay(IdleFrame.Reset);
        if (stream is null || step.IsIgnored) return;
        var kind = code == Http2ErrorCode.RefusedStream ? StreamFaultKind.Refused : StreamFaultKind.ResetByPeer;
        Close(stream, StreamState.ResetByPeer, new StreamFault(kind, code));
    }

    private void TakeSettings(in FrameHeader frame, ReadOnlySpan<byte> payload)
    {
        if (frame.Has(FrameFlags.Ack)) return;
        if (_settingsSeen) Pay(IdleFrame.Settings);
        var couldOpen = _settingsSeen && CanOpen;
        var fault = _peer.Apply(payload, out var change);
        if (fault != Http2Fault.None)
        {
            Fail(fault);
            return;
        }

        foreach (var stream in _streams.Values)
        {
            if (change == 0) break;
            if (!stream.SendWindow.TryShift(change))
            {
                Fail(Http2Fault.BadWindowSetting);
                return;
            }

            if (change > 0) QueueIfReady(stream);
        }

        _encoder.SetPeerTableSize(_peer.HeaderTableSize);
        _settingsSeen = true;
        WriteSettingsAck();
        SendPending();
        if (!couldOpen && CanOpen) Owner?.OnRoomForStream(this);
    }

    private void TakeGoAway(ReadOnlySpan<byte> payload)
    {
        var (last, code) = Payloads.ReadGoAway(payload);
        _goAwaySeen = true;
        if (_options.Role == Http2Role.Server) return;
        // What the server has not worked on can be tried elsewhere.
        foreach (var stream in _streams.Values.Where(s => s.Id > last).ToArray())
            Close(stream, StreamState.ResetByPeer, new StreamFault(StreamFaultKind.Refused, code));
        Owner?.OnGoingAway(this);
        _draining = true;
        EndIfDrained();
    }

    private void TakeWindowUpdate(in FrameHeader frame, ReadOnlySpan<byte> payload)
    {
        var fault = Payloads.ReadWindowUpdate(frame, payload, out var increment);
        if (fault == Http2Fault.None && increment < FloodGuard.SmallIncrement) Pay(IdleFrame.SmallWindowUpdate);
        if (frame.StreamId == 0)
        {
            if (fault == Http2Fault.None && !_sendWindow.TryIncrease(increment)) fault = Http2Fault.ConnectionWindowOverflow;
            if (fault != Http2Fault.None) Fail(fault);
            else SendPending();
            return;
        }

        var stream = _streams.GetValueOrDefault(frame.StreamId);
        var step = StreamRules.Receive(stream?.State ?? _ids.StateOf(frame.StreamId), FrameType.WindowUpdate, frame.Flags);
        if (step.Fault != Http2Fault.None) fault = step.Fault;
        else if (step.IsIgnored || stream is null) return;
        else if (fault == Http2Fault.None && !stream.SendWindow.TryIncrease(increment)) fault = Http2Fault.StreamWindowOverflow;
        if (fault != Http2Fault.None)
        {
            Refuse(frame.StreamId, fault);
            return;
        }

        QueueIfReady(stream!);
        SendPending();
    }

    private void Pay(IdleFrame frame)
    {
        if (_guard.Pay(frame, Loop.Now) is var fault and not Http2Fault.None) Fail(fault);
    }

    /// <summary>Answers a fault as its kind demands: the connection ends, or the stream.</summary>
    private void Refuse(int id, Http2Fault fault)
    {
        if (Http2Faults.EndsConnection(fault)) Fail(fault);
        else if (_streams.GetValueOrDefault(id) is { } stream) Refuse(stream, fault);
        else RefuseUnopened(id, fault);
    }

    private void Refuse(Http2Stream stream, Http2Fault fault)
    {
        // Making us reset streams is work for nothing as well.
        Pay(IdleFrame.Reset);
        _options.Faulted?.Invoke(fault);
        // A request that the peer would not take has not been sent.
        if (stream.State != StreamState.Idle) WriteReset(stream.Id, Http2Faults.Code(fault));
        Close(stream, StreamState.ResetByUs, new StreamFault(StreamFaultKind.Malformed, Http2Faults.Code(fault)));
    }

    private void RefuseUnopened(int id, Http2Fault fault)
    {
        if (Http2Faults.EndsConnection(fault))
        {
            Fail(fault);
            return;
        }

        Pay(IdleFrame.Reset);
        _options.Faulted?.Invoke(fault);
        WriteReset(id, Http2Faults.Code(fault));
        // A frame for a stream that is idle does not open it (PRIORITY may come early).
        if (id <= _ids.Last) _ids.Close(id, StreamState.ResetByUs);
    }
}
