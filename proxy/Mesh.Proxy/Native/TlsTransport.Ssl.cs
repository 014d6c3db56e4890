using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Mesh.Spiffe;

namespace Mesh.Proxy.Native;

/// <content>The part that calls OpenSSL. Every call is preceded by setting <see cref="TlsCallbacks.Current"/>, and every failure leaves the thread's error queue empty.</content>
internal sealed unsafe partial class TlsTransport
{
    /// <summary>What <see cref="Receive"/> and <see cref="Send"/> say for "not now".</summary>
    public const int TryLater = -2;

    // RFC 8446 section 5.1.
    private const int MaxRecord = 16 * 1024;

    // Plaintext sealed into one system call.
    private const int MaxGather = NativeBuffers.BulkSize;

    // Key updates and tickets in a row, without data between them. Each costs key derivations; an honest peer sends one or two.
    private const int MaxControlRecords = 32;

    private nint _ssl;
    private IoStatus _readEnd;
    private IoStatus _writeFault;
    private bool _bufferedInput;
    private bool _readWantsWrite;
    private bool _blocked;
    private bool _blockedOnOutput;
    private bool _inputEnded;
    private int _controlRecords;
    private bool _bulkReads = true;
    private int _socketErrno;
    private bool _gathering;
    private NativeBuffer? _sealed;
    private int _sealedStart;
    private int _sealedEnd;
    private NativeBuffer? _unread;
    private int _unreadStart;
    private int _unreadEnd;
    private TlsHandshakeFailure _failure;
    private string _detail = "";

    private void Open(string? sni)
    {
        _ssl = Context.CreateConnection();
        NativeCounts.TlsConnections(1);
        nint bio = TlsCallbacks.CreateBio();
        if (bio == 0) throw new CryptographicException("BIO_new failed: out of memory.");
        OpenSsl.SSL_set_bio(_ssl, bio, bio);
        _socket.BeforeWritable = SendSealed;
        if (Context.IsServer)
        {
            OpenSsl.SSL_set_accept_state(_ssl);
            return;
        }

        OpenSsl.SSL_set_connect_state(_ssl);
        if (string.IsNullOrEmpty(sni)) return;
        byte[] name = Encoding.ASCII.GetBytes(sni + "\0");
        fixed (byte* pointer = name)
        {
            if (OpenSsl.SSL_ctrl(_ssl, OpenSsl.SSL_CTRL_SET_TLSEXT_HOSTNAME, OpenSsl.TLSEXT_NAMETYPE_host_name, pointer) == 1) return;
            OpenSsl.ERR_clear_error();
            throw new ArgumentException("A server name has 1 to 255 characters.", nameof(sni));
        }
    }

    private Step HandshakeStep()
    {
        Begin();
        OpenSsl.ERR_clear_error();
        int result = OpenSsl.SSL_do_handshake(_ssl);
        if (result == 1)
        {
            // The read that brought the peer's last flight may have brought its first data as well; no event will tell of them.
            _bufferedInput = OpenSsl.SSL_has_pending(_ssl) != 0;
            return Step.Done;
        }

        if (_blocked) return _blockedOnOutput ? Step.WantsOutput : Step.WantsInput;
        (_failure, _detail) = ExplainHandshake(OpenSsl.SSL_get_error(_ssl, result));
        OpenSsl.ERR_clear_error();
        return Step.Failed;
    }

    private (TlsHandshakeFailure Failure, string Detail) ExplainHandshake(int sslError)
    {
        if (Verdict is { IsValid: false } || VerifierFault is not null) return (TlsHandshakeFailure.CertificateRejected, "");
        if (sslError != OpenSsl.SSL_ERROR_SSL) return (TlsHandshakeFailure.PeerClosed, "");
        int reason = Reason();
        if (TakeAlert(reason)) return (TlsHandshakeFailure.RejectedByPeer, OpenSsl.FirstErrorText());
        return reason switch
        {
            OpenSsl.SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE => (TlsHandshakeFailure.NoCertificate, ""),
            OpenSsl.SSL_R_UNEXPECTED_EOF_WHILE_READING => (TlsHandshakeFailure.PeerClosed, ""),
            OpenSsl.SSL_R_NO_APPLICATION_PROTOCOL => (TlsHandshakeFailure.NoApplicationProtocol, ""),
            OpenSsl.SSL_R_UNSUPPORTED_PROTOCOL or OpenSsl.SSL_R_VERSION_TOO_LOW or OpenSsl.SSL_R_UNKNOWN_PROTOCOL or OpenSsl.SSL_R_WRONG_SSL_VERSION
                or OpenSsl.SSL_R_NO_PROTOCOLS_AVAILABLE => (TlsHandshakeFailure.ProtocolVersion, ""),
            OpenSsl.SSL_R_HTTP_REQUEST or OpenSsl.SSL_R_HTTPS_PROXY_REQUEST or OpenSsl.SSL_R_WRONG_VERSION_NUMBER or OpenSsl.SSL_R_PACKET_LENGTH_TOO_LONG
                or OpenSsl.SSL_R_BAD_RECORD_TYPE => (TlsHandshakeFailure.NotTls, OpenSsl.FirstErrorText()),
            _ => (TlsHandshakeFailure.Error, OpenSsl.FirstErrorText()),
        };
    }

    public override IoResult Read(Span<byte> buffer)
    {
        if (_ssl == 0) return IoResult.Of(IoStatus.Closed);
        if (_unread is not null) return ReadAgain(buffer);
        if (_readEnd != IoStatus.Ok) return new IoResult(0, _readEnd, _socketErrno);
        _readWantsWrite = false;
        _socket.WakeReaderOnWritable = false;
        int total = 0;
        fixed (byte* start = buffer)
        {
            while (true)
            {
                Begin();
                int count = OpenSsl.SSL_read(_ssl, start + total, buffer.Length - total);
                if (count <= 0)
                {
                    IoStatus status = ExplainRead(out bool again);
                    if (again) continue;
                    _bufferedInput = false;
                    if (status != IoStatus.WouldBlock) _readEnd = status;
                    if (total == 0) return new IoResult(0, status, _socketErrno);
                    break;
                }

                total += count;
                _controlRecords = 0;
                bool buffered = OpenSsl.SSL_has_pending(_ssl) != 0;
                if (total == buffer.Length || (!buffered && !_socket.Readable && !_socket.HungUp))
                {
                    _bufferedInput = buffered;
                    break;
                }
            }
        }

        BytesIn += total;
        SizeReadBuffer(total >= MaxRecord);
        return IoResult.Transferred(total);
    }

    private IoResult ReadAgain(Span<byte> buffer)
    {
        int count = Math.Min(buffer.Length, _unreadEnd - _unreadStart);
        _unread!.Span.Slice(_unreadStart, count).CopyTo(buffer);
        _unreadStart += count;
        if (_unreadStart == _unreadEnd)
        {
            _unread.Return();
            _unread = null;
        }

        BytesIn += count;
        return IoResult.Transferred(count);
    }

    // OpenSSL gives its read buffer back after each read and takes a new one for the next (SSL_MODE_RELEASE_BUFFERS). Several records long it
    // saves system calls in bulk; for small messages it only makes malloc work, so they get the one of 16 KB.
    private void SizeReadBuffer(bool bulk)
    {
        if (bulk == _bulkReads) return;
        _bulkReads = bulk;
        OpenSsl.SSL_set_default_read_buffer_len(_ssl, (nuint)(bulk ? TlsContext.ReadBuffer : 0));
    }

    public override IoResult Write(ReadOnlySpan<byte> data)
    {
        if (_ssl == 0) return IoResult.Of(IoStatus.Closed);
        if (_writeFault != IoStatus.Ok) return new IoResult(0, _writeFault, _socketErrno);
        // Not before the socket has room: sealing what cannot be sent only to hold it helps nobody.
        if (!_socket.Writable || data.IsEmpty) return IoResult.Of(IoStatus.WouldBlock);
        int total = 0;
        IoStatus status = IoStatus.Ok;
        int limit = Math.Min(data.Length, MaxGather);
        if (limit > MaxRecord) BeginGather();
        fixed (byte* start = data)
        {
            while (total < limit)
            {
                Begin();
                int count = OpenSsl.SSL_write(_ssl, start + total, Math.Min(limit - total, MaxRecord));
                if (count > 0)
                {
                    total += count;
                    continue;
                }

                status = ExplainWrite(count);
                break;
            }
        }

        if (_gathering)
        {
            _gathering = false;
            SendSealed();
        }

        BytesOut += total;
        if (total > 0) return IoResult.Transferred(total);
        if (status is not (IoStatus.Ok or IoStatus.WouldBlock)) _writeFault = status;
        return new IoResult(0, status, _socketErrno);
    }

    private IoStatus SendCloseNotify()
    {
        if (_ssl == 0) return IoStatus.Closed;
        if (_writeFault != IoStatus.Ok) return _writeFault;
        if (_sealed is not null) return IoStatus.WouldBlock;
        Begin();
        int result = OpenSsl.SSL_shutdown(_ssl);
        // 0: ours is sent, the peer's has not come. That is all this direction needs (SSL_shutdown(3)).
        return result >= 0 ? IoStatus.Ok : ExplainWrite(result);
    }

    private void Begin()
    {
        TlsCallbacks.Current = this;
        _blocked = _blockedOnOutput = false;
    }

    private IoStatus ExplainRead(out bool again)
    {
        again = false;
        // Asked first, since it needs no error queue: an error that somebody else left there must not end a healthy connection.
        if (_blocked)
        {
            if (_blockedOnOutput) _readWantsWrite = _socket.WakeReaderOnWritable = true;
            return IoStatus.WouldBlock;
        }

        // SSL_get_error would take any error in this thread's queue for this connection's, also one that other code left there. What libssl itself
        // says last, together with the shutdown state, does not have that fault.
        int reason = Reason();
        IoStatus status;
        if (_socketErrno != 0) status = IoResult.Classify(_socketErrno);
        else if (_inputEnded) status = IoStatus.Truncated;
        else if (TakeAlert(reason)) status = IoStatus.TlsAlert;
        else if ((OpenSsl.SSL_get_shutdown(_ssl) & OpenSsl.SSL_RECEIVED_SHUTDOWN) != 0) status = IoStatus.End;
        else if (reason == 0 && ++_controlRecords <= MaxControlRecords)
        {
            // Nothing is wrong and input is not lacking: a record that was not data.
            again = true;
            status = IoStatus.Ok;
        }
        else status = IoStatus.TlsViolation;

        OpenSsl.ERR_clear_error();
        // After a fatal error of the protocol nothing may be written any more; the end of input and close_notify leave our direction open.
        if (_writeFault == IoStatus.Ok && status is (IoStatus.TlsViolation or IoStatus.TlsAlert)) _writeFault = status;
        return status;
    }

    private IoStatus ExplainWrite(int result)
    {
        if (_blocked) return IoStatus.WouldBlock;
        int error = OpenSsl.SSL_get_error(_ssl, result);
        OpenSsl.ERR_clear_error();
        return _socketErrno != 0 ? IoResult.Classify(_socketErrno) : error == OpenSsl.SSL_ERROR_SYSCALL ? IoStatus.Reset : IoStatus.TlsViolation;
    }

    // The newest error of the queue, if libssl made it.
    private static int Reason()
    {
        ulong error = OpenSsl.ERR_peek_last_error();
        return (int)(error >> 23) == OpenSsl.ERR_LIB_SSL ? (int)(error & 0x7FFFFF) : 0;
    }

    private bool TakeAlert(int reason)
    {
        if (reason is < OpenSsl.SSL_AD_REASON_OFFSET or > OpenSsl.SSL_AD_REASON_OFFSET + 255) return false;
        PeerAlert = (byte)(reason - OpenSsl.SSL_AD_REASON_OFFSET);
        return true;
    }

    /// <summary>OpenSSL wants input.</summary>
    internal int Receive(byte* buffer, int length)
    {
        if ((!_socket.Readable && !_socket.HungUp) || _socket.IsOverBudget)
        {
            _blocked = true;
            return TryLater;
        }

        nint count;
        int errno = 0;
        do count = Libc.recv(_socket.Fd, buffer, (nuint)length, 0);
        while (count < 0 && (errno = Libc.LastError) == Libc.EINTR);
        if (count > 0)
        {
            if (count < length && !_socket.HungUp) _socket.Readable = false;
            _socket.Charge((int)count);
            return (int)count;
        }

        if (count == 0)
        {
            _inputEnded = true;
            return 0;
        }

        if (errno == Libc.EAGAIN)
        {
            _socket.Readable = false;
            _blocked = true;
            return TryLater;
        }

        _socketErrno = errno;
        return -1;
    }

    /// <summary>OpenSSL has output: into the gathering buffer, or straight to the socket, but never past sealed bytes that wait.</summary>
    internal int Send(byte* buffer, int length)
    {
        if (_gathering && _sealed!.Length - _sealedEnd >= length)
        {
            new ReadOnlySpan<byte>(buffer, length).CopyTo(_sealed.Span[_sealedEnd..]);
            _sealedEnd += length;
            return length;
        }

        if (_sealed is not null) SendSealed();
        if (_sealed is not null || !_socket.Writable)
        {
            _blocked = _blockedOnOutput = true;
            return TryLater;
        }

        nint count = SendToSocket(buffer, length);
        if (count >= 0) return (int)count;
        if (_socketErrno != 0) return -1;
        _blocked = _blockedOnOutput = true;
        return TryLater;
    }

    private void BeginGather()
    {
        _sealed = Loop.Buffers.Rent(NativeBuffers.Large);
        _sealedStart = _sealedEnd = 0;
        _gathering = true;
    }

    // Sends what has been sealed. What the socket does not take waits here, and goes out with its next event before anything else.
    private void SendSealed()
    {
        if (_sealed is not { } buffer || _gathering) return;
        while (_sealedStart < _sealedEnd)
        {
            nint count = SendToSocket(buffer.Pointer + _sealedStart, _sealedEnd - _sealedStart);
            if (count < 0)
            {
                if (_socketErrno == 0) return;
                _writeFault = IoResult.Classify(_socketErrno);
                break;
            }

            _sealedStart += (int)count;
        }

        _sealed = null;
        buffer.Return();
    }

    private nint SendToSocket(byte* buffer, int length)
    {
        nint count;
        int errno = 0;
        do count = Libc.send(_socket.Fd, buffer, (nuint)length, Libc.MSG_NOSIGNAL);
        while (count < 0 && (errno = Libc.LastError) == Libc.EINTR);
        if (count < length) _socket.Writable = count < 0 && errno != Libc.EAGAIN;
        if (count < 0 && errno != Libc.EAGAIN) _socketErrno = errno;
        return count;
    }

    private string? ServerName()
    {
        nint name = Context.IsServer && _ssl != 0 ? OpenSsl.SSL_get_servername(_ssl, OpenSsl.TLSEXT_NAMETYPE_host_name) : 0;
        return name == 0 ? null : Marshal.PtrToStringUTF8(name);
    }

    private string? Alpn()
    {
        byte* name;
        uint length;
        OpenSsl.SSL_get0_alpn_selected(_ssl, &name, &length);
        return length == 0 ? null : Encoding.ASCII.GetString(name, (int)length);
    }

    private string Cipher() => OpenSsl.SSL_CIPHER_get_protocol_id(OpenSsl.SSL_get_current_cipher(_ssl)) switch
    {
        0x1301 => "TLS_AES_128_GCM_SHA256",
        0x1302 => "TLS_AES_256_GCM_SHA384",
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        var other => $"0x{other:x4}",
    };

    private string Group()
    {
        int group = (int)OpenSsl.SSL_ctrl(_ssl, OpenSsl.SSL_CTRL_GET_NEGOTIATED_GROUP, 0, null);
        return Marshal.PtrToStringUTF8(OpenSsl.SSL_group_to_name(_ssl, group)) ?? $"0x{group:x}";
    }

    private void Free()
    {
        if (_ssl == 0) return;
        if (ReferenceEquals(TlsCallbacks.Current, this)) TlsCallbacks.Current = null;
        _socket.BeforeWritable = null;
        OpenSsl.SSL_free(_ssl);
        _ssl = 0;
        NativeCounts.TlsConnections(-1);
        Context.Release();
        _sealed?.Return();
        _sealed = null;
        _unread?.Return();
        _unread = null;
    }
}
