using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Mesh.Spiffe;

namespace Mesh.Proxy.Native;

/// <summary>A TLS 1.3 connection over a TCP connection of which it is the owner from the first moment: an SSL(3) that reads and writes the socket itself.</summary>
internal sealed partial class TlsTransport : Transport
{
    private readonly TcpTransport _tcp;
    private readonly LoopSocket _socket;
    private readonly PeerVerifier _verify;
    private readonly HandshakeTurn _turn;
    private bool _timedOut;
    private bool _abandoned;

    private TlsTransport(TcpTransport tcp, TlsContext context, PeerVerifier verify)
    {
        _tcp = tcp;
        _socket = tcp.Socket;
        _verify = verify;
        _turn = new HandshakeTurn(tcp.Loop);
        Context = context;
    }

    public override EventLoop Loop => _socket.Loop;

    public override IPEndPoint Local => _tcp.Local;

    public override IPEndPoint Remote => _tcp.Remote;

    public override bool IsOpen => _ssl != 0;

    /// <summary>The fatal alert the peer sent (RFC 8446 section 6), once a read has met it.</summary>
    public byte? PeerAlert { get; private set; }

    /// <summary>What the verifier said of the peer; null when it showed no certificate.</summary>
    public SvidVerdict? Verdict { get; private set; }

    internal override LoopSocket Socket => _socket;

    internal TlsContext Context { get; }

    internal Exception? VerifierFault { get; set; }

    /// <summary>
    /// The accepting side of a handshake. <paramref name="timeout"/> is for all of it, whatever the peer trickles. Takes <paramref name="tcp"/> over:
    /// it is closed when the handshake fails, after the alert has been sent.
    /// </summary>
    public static ValueTask<TlsHandshakeResult> AcceptAsync(TcpTransport tcp, TlsContext context, PeerVerifier verify, TimeSpan timeout) =>
        new TlsTransport(tcp, context, verify).HandshakeAsync(null, timeout);

    /// <summary>
    /// The dialling side. <paramref name="sni"/> is sent as the server name; empty sends none. When <paramref name="abandoned"/> fires, which must be
    /// on the loop's thread, the handshake ends as <see cref="TlsHandshakeFailure.Closed"/>.
    /// </summary>
    public static async ValueTask<TlsHandshakeResult> ConnectAsync(
        TcpTransport tcp, TlsContext context, string sni, PeerVerifier verify, TimeSpan timeout, CancellationToken abandoned)
    {
        var transport = new TlsTransport(tcp, context, verify);
        using CancellationTokenRegistration registration = abandoned.UnsafeRegister(static s => ((TlsTransport)s!).Abandon(), transport);
        return await transport.HandshakeAsync(sni, timeout);
    }

    internal SvidVerdict JudgePeer(ReadOnlySpan<ReadOnlyMemory<byte>> chain) => Verdict = _verify(chain);

    private async ValueTask<TlsHandshakeResult> HandshakeAsync(string? sni, TimeSpan timeout)
    {
        LoopTimer timer = Loop.Timer(static s => ((TlsTransport)s!).HandshakeTimedOut(), this);
        bool connected = false;
        try
        {
            Open(sni);
            timer.Arm((long)timeout.TotalMilliseconds);
            IoStatus ready = Context.IsServer ? await _socket.ReadableAsync() : IoStatus.Ok;
            while (ready == IoStatus.Ok)
            {
                // A client that has closed before the first answer cannot finish; later, its last flight and its FIN may come together.
                if (Context.IsServer && !_turn.HasBegun)
                {
                    if (_socket.HungUp) return new TlsHandshakeResult { Failure = TlsHandshakeFailure.PeerClosed };
                    _socket.HangUpNoticed = () => Loop.Handshakes.Leave(_turn, IoStatus.Reset);
                }

                IoStatus turn = await Loop.Handshakes.WaitAsync(_turn);
                _socket.HangUpNoticed = null;
                if (_timedOut || _abandoned || !_socket.IsOpen || Loop.IsStopping) break;
                if (turn != IoStatus.Ok) return new TlsHandshakeResult { Failure = turn == IoStatus.Reset ? TlsHandshakeFailure.PeerClosed : TlsHandshakeFailure.Overloaded };
                switch (HandshakeStep())
                {
                    case Step.Done:
                        connected = true;
                        return Describe();
                    case Step.Failed:
                        return Failed();
                    case Step.WantsInput:
                        ready = await _socket.ReadableAsync();
                        break;
                    case Step.WantsOutput:
                        ready = await _socket.WritableAsync();
                        break;
                }
            }

            return new TlsHandshakeResult { Failure = _timedOut ? TlsHandshakeFailure.Timeout : TlsHandshakeFailure.Closed, Verdict = Verdict };
        }
        finally
        {
            timer.Stop();
            if (!connected)
            {
                Free();
                _tcp.CloseAfterRefusal();
            }
        }
    }

    private void HandshakeTimedOut()
    {
        _timedOut = true;
        _socket.Interrupt(IoStatus.TimedOut);
        Loop.Handshakes.Leave(_turn, IoStatus.TimedOut);
    }

    private void Abandon()
    {
        _abandoned = true;
        _socket.Interrupt(IoStatus.Closed);
        Loop.Handshakes.Leave(_turn, IoStatus.Closed);
    }

    private TlsHandshakeResult Failed()
    {
        if (VerifierFault is { } bug) ExceptionDispatchInfo.Throw(bug);
        return new TlsHandshakeResult { Failure = _failure, Verdict = Verdict, PeerAlert = PeerAlert, Detail = _detail, Sni = ServerName() };
    }

    private TlsHandshakeResult Describe() => new()
    {
        Transport = this,
        Verdict = Verdict,
        Group = Group(),
        Cipher = Cipher(),
        Alpn = Alpn(),
        Sni = ServerName(),
    };

    public override ValueTask<IoStatus> ReadableAsync()
    {
        if (_readEnd != IoStatus.Ok && IsOpen) return new ValueTask<IoStatus>(IoStatus.Ok);
        if (_readWantsWrite && _unread is null) return _socket.WaitForInput();
        return _bufferedInput || _unread is not null ? _socket.ReadableNow() : _socket.ReadableAsync();
    }

    /// <summary>
    /// Puts back what was read last, to be read again: for looking at the first bytes. The buffer goes over to the transport, its first
    /// <paramref name="length"/> bytes are what comes next. Once, before anything else was put back.
    /// </summary>
    public void Unread(NativeBuffer buffer, int length)
    {
        BytesIn -= length;
        (_unread, _unreadStart, _unreadEnd) = (buffer, 0, length);
    }

    public override ValueTask<IoStatus> WritableAsync() =>
        _writeFault != IoStatus.Ok && IsOpen ? new ValueTask<IoStatus>(IoStatus.Ok) : _socket.WritableAsync();

    [AsyncMethodBuilder(typeof(LoopMethodBuilder<>))]
    private async ValueTask<IoStatus> CloseNotifyAsync()
    {
        while (true)
        {
            IoStatus status = SendCloseNotify();
            if (status == IoStatus.WouldBlock) status = await _socket.WritableAsync();
            else if (status == IoStatus.Ok) return _tcp.ShutdownWrite();
            if (status != IoStatus.Ok) return status;
        }
    }

    public override ValueTask<IoStatus> ShutdownWriteAsync() => CloseNotifyAsync();

    public override void Interrupt(IoStatus status) => _socket.Interrupt(status);

    public override void Abort()
    {
        Free();
        _tcp.Abort();
    }

    public override void Dispose()
    {
        Free();
        _tcp.Dispose();
    }

    private enum Step
    {
        Done,
        Failed,
        WantsInput,
        WantsOutput,
    }
}
