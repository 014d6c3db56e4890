using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Mesh.Spiffe;

namespace Mesh.Proxy.Native;

/// <summary>
/// One side's TLS settings with our SVID in them: an SSL_CTX(3). TLS 1.3 only, no resumption, so that every connection shows its certificate anew.
/// Connections keep what they need of it by themselves: it may be disposed, and the SVID with it, while they live. Any thread.
/// </summary>
internal sealed unsafe class TlsContext : IDisposable
{
    // Certificates of one peer, together, in bytes: SvidVerifier takes at most nine, and a generous one has 2 KB.
    private const int MaxPeerCertificates = 32 * 1024;

    // One system call reads this much of a bulk transfer: three or four full records instead of half a one.
    internal const int ReadBuffer = 64 * 1024;

    private readonly byte* _alpn;
    private readonly int _alpnLength;
    private readonly Lock _lock = new();
    private nint _handle;
    private int _users;

    private TlsContext(bool server, ImmutableArray<string> alpn)
    {
        IsServer = server;
        byte[] wire = AlpnWire(alpn);
        _alpnLength = wire.Length;
        // Outside the managed heap: OpenSSL is given the address for as long as a connection may still be handshaking.
        _alpn = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, wire.Length));
        wire.CopyTo(new Span<byte>(_alpn, wire.Length));
        _handle = OpenSsl.SSL_CTX_new(OpenSsl.TLS_method());
        if (_handle == 0) throw Failure("SSL_CTX_new");
        _users = 1;
        NativeCounts.TlsContexts(1);
    }

    public bool IsServer { get; }

    /// <summary>The accepting side. <paramref name="alpn"/> is in order of our preference; empty: the peer's wishes are ignored.</summary>
    /// <exception cref="CryptographicException">OpenSSL refuses the certificate or the key; the message says what it said, never the key.</exception>
    public static TlsContext Server(X509Svid svid, ClientCertificates clientCertificates, ImmutableArray<string> alpn)
    {
        var context = new TlsContext(server: true, alpn);
        try
        {
            context.Configure(svid);
            context.SetVerify(clientCertificates switch
            {
                ClientCertificates.Required => OpenSsl.SSL_VERIFY_PEER | OpenSsl.SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                ClientCertificates.Optional => OpenSsl.SSL_VERIFY_PEER,
                _ => OpenSsl.SSL_VERIFY_NONE,
            });
            if (!alpn.IsDefaultOrEmpty) OpenSsl.SSL_CTX_set_alpn_select_cb(context._handle, &TlsCallbacks.SelectAlpn, 0);
            return context;
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>The dialling side; without an SVID it shows no certificate. The server's certificate is always judged.</summary>
    /// <exception cref="CryptographicException">As for <see cref="Server"/>.</exception>
    public static TlsContext Client(X509Svid? svid, ImmutableArray<string> alpn)
    {
        var context = new TlsContext(server: false, alpn);
        try
        {
            context.Configure(svid);
            context.SetVerify(OpenSsl.SSL_VERIFY_PEER);
            // Returns 0 for success, unlike its neighbours (SSL_CTX_set_alpn_protos(3)).
            if (!alpn.IsDefaultOrEmpty && OpenSsl.SSL_CTX_set_alpn_protos(context._handle, context._alpn, (uint)context._alpnLength) != 0)
                throw Failure("SSL_CTX_set_alpn_protos");
            return context;
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    internal ReadOnlySpan<byte> AlpnPreference => new(_alpn, _alpnLength);

    /// <summary>A new SSL(3) of this context. The context stays until <see cref="Release"/> is called for it.</summary>
    internal nint CreateConnection()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_handle == 0 || _users == 0, this);
            nint ssl = OpenSsl.SSL_new(_handle);
            if (ssl == 0) throw Failure("SSL_new");
            _users++;
            return ssl;
        }
    }

    internal void Release()
    {
        lock (_lock)
        {
            if (--_users > 0) return;
            OpenSsl.SSL_CTX_free(_handle);
            _handle = 0;
            NativeMemory.Free(_alpn);
            NativeCounts.TlsContexts(-1);
        }
    }

    private bool _disposed;

    /// <summary>No new connections; the memory goes with the last connection that was made of it.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            Release();
        }
    }

    private void Configure(X509Svid? svid)
    {
        Control(OpenSsl.SSL_CTRL_SET_MIN_PROTO_VERSION, OpenSsl.TLS1_3_VERSION);
        Control(OpenSsl.SSL_CTRL_SET_MAX_PROTO_VERSION, OpenSsl.TLS1_3_VERSION);
        OpenSsl.SSL_CTX_set_options(_handle, OpenSsl.SSL_OP_NO_TICKET | OpenSsl.SSL_OP_NO_RENEGOTIATION | OpenSsl.SSL_OP_CIPHER_SERVER_PREFERENCE);
        if (OpenSsl.SSL_CTX_set_num_tickets(_handle, 0) != 1) throw Failure("SSL_CTX_set_num_tickets");
        OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_SET_SESS_CACHE_MODE, 0, null);
        OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_SET_MAX_CERT_LIST, MaxPeerCertificates, null);
        OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_SET_READ_AHEAD, 1, null);
        OpenSsl.SSL_CTX_set_default_read_buffer_len(_handle, ReadBuffer);
        OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_MODE,
            OpenSsl.SSL_MODE_ENABLE_PARTIAL_WRITE | OpenSsl.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | OpenSsl.SSL_MODE_NO_AUTO_CHAIN | OpenSsl.SSL_MODE_RELEASE_BUFFERS, null);
        // A read comes back after each record that holds no data, so that they can be counted.
        OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_CLEAR_MODE, OpenSsl.SSL_MODE_AUTO_RETRY, null);
        fixed (byte* suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256\0"u8)
            if (OpenSsl.SSL_CTX_set_ciphersuites(_handle, suites) != 1) throw Failure("SSL_CTX_set_ciphersuites");
        SetGroups();
        if (svid is not null) SetIdentity(svid);
    }

    // The hybrid group exists since OpenSSL 3.5; an older library refuses the whole list for the name it does not know. In 3.5's form a star is a
    // key share in the ClientHello, so that a peer without the hybrid group need not ask again, and what stands before the slash is chosen
    // whenever the peer has it.
    private void SetGroups()
    {
        fixed (byte* hybrid = "*X25519MLKEM768/*X25519:P-256\0"u8, classic = "X25519:P-256\0"u8)
        {
            if (OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_SET_GROUPS_LIST, 0, hybrid) == 1) return;
            OpenSsl.ERR_clear_error();
            if (OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_SET_GROUPS_LIST, 0, classic) != 1) throw Failure("SSL_CTX_set1_groups_list");
        }
    }

    private void SetIdentity(X509Svid svid)
    {
        WithCertificate(svid.Leaf, certificate => OpenSsl.SSL_CTX_use_certificate(_handle, certificate), "SSL_CTX_use_certificate");
        foreach (Certificate intermediate in svid.Chain.AsSpan()[1..])
        {
            // add1: the context takes a reference of its own.
            WithCertificate(intermediate, certificate => (int)OpenSsl.SSL_CTX_ctrl(_handle, OpenSsl.SSL_CTRL_CHAIN_CERT, 1, (void*)certificate), "SSL_CTX_add1_chain_cert");
        }

        byte[] pkcs8 = svid.ExportPkcs8PrivateKey();
        try
        {
            fixed (byte* start = pkcs8)
            {
                byte* position = start;
                nint key = OpenSsl.d2i_AutoPrivateKey(null, &position, pkcs8.Length);
                if (key == 0) throw Failure("d2i_AutoPrivateKey");
                int used = OpenSsl.SSL_CTX_use_PrivateKey(_handle, key);
                OpenSsl.EVP_PKEY_free(key);
                if (used != 1 || OpenSsl.SSL_CTX_check_private_key(_handle) != 1) throw Failure("SSL_CTX_use_PrivateKey");
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }

    private static void WithCertificate(Certificate certificate, Func<nint, int> use, string what)
    {
        fixed (byte* start = certificate.Der.Span)
        {
            byte* position = start;
            nint native = OpenSsl.d2i_X509(null, &position, certificate.Der.Length);
            if (native == 0) throw Failure("d2i_X509");
            int used = use(native);
            OpenSsl.X509_free(native);
            if (used != 1) throw Failure(what);
        }
    }

    private void SetVerify(int mode)
    {
        OpenSsl.SSL_CTX_set_verify(_handle, mode, 0);
        OpenSsl.SSL_CTX_set_cert_verify_callback(_handle, &TlsCallbacks.VerifyPeer, 0);
    }

    private void Control(int command, nint argument)
    {
        if (OpenSsl.SSL_CTX_ctrl(_handle, command, argument, null) != 1) throw Failure("SSL_CTX_ctrl");
    }

    // RFC 7301 section 3.1: each name behind its length in one byte.
    private static byte[] AlpnWire(ImmutableArray<string> alpn)
    {
        if (alpn.IsDefaultOrEmpty) return [];
        var wire = new List<byte>();
        foreach (string name in alpn)
        {
            byte[] ascii = Encoding.ASCII.GetBytes(name);
            if (ascii.Length is 0 or > 255) throw new ArgumentException("An ALPN name has 1 to 255 bytes.", nameof(alpn));
            wire.Add((byte)ascii.Length);
            wire.AddRange(ascii);
        }

        return [.. wire];
    }

    private static CryptographicException Failure(string function)
    {
        string text = OpenSsl.FirstErrorText();
        OpenSsl.ERR_clear_error();
        return new CryptographicException($"{function} failed: {text}.");
    }
}
