using System.Runtime.InteropServices;
using Mesh.Spiffe;

namespace Mesh.Proxy.Native;

/// <summary>
/// What OpenSSL calls back. All of it runs inside a call of <see cref="TlsTransport"/> on the same thread, which is how a callback finds its
/// connection: <see cref="Current"/> is set before every such call. No exception may cross into native code.
/// </summary>
internal static unsafe class TlsCallbacks
{
    [ThreadStatic] public static TlsTransport? Current;

    private static readonly nint s_method = CreateMethod();

    /// <summary>A BIO(3) whose reads and writes are those of the current connection's socket.</summary>
    public static nint CreateBio()
    {
        nint bio = OpenSsl.BIO_new(s_method);
        if (bio != 0) OpenSsl.BIO_set_init(bio, 1);
        return bio;
    }

    // Our own BIO instead of the socket one: it knows when the socket is empty without asking the kernel again, it sends the records of one write
    // with one system call, and it never raises SIGPIPE.
    private static nint CreateMethod()
    {
        fixed (byte* name = "mesh loop socket\0"u8)
        {
            nint method = OpenSsl.BIO_meth_new(OpenSsl.BIO_get_new_index() | OpenSsl.BIO_TYPE_SOURCE_SINK, name);
            if (method == 0 || OpenSsl.BIO_meth_set_read(method, &BioRead) != 1 || OpenSsl.BIO_meth_set_write(method, &BioWrite) != 1
                || OpenSsl.BIO_meth_set_ctrl(method, &BioControl) != 1)
                throw new InvalidOperationException("OpenSSL takes no BIO method.");
            return method;
        }
    }

    [UnmanagedCallersOnly]
    private static int BioRead(nint bio, byte* buffer, int length)
    {
        OpenSsl.BIO_clear_flags(bio, OpenSsl.BIO_FLAGS_RWS | OpenSsl.BIO_FLAGS_SHOULD_RETRY);
        int count = Current!.Receive(buffer, length);
        if (count == TlsTransport.TryLater)
        {
            OpenSsl.BIO_set_flags(bio, OpenSsl.BIO_FLAGS_READ | OpenSsl.BIO_FLAGS_SHOULD_RETRY);
            return -1;
        }

        return count;
    }

    [UnmanagedCallersOnly]
    private static int BioWrite(nint bio, byte* buffer, int length)
    {
        OpenSsl.BIO_clear_flags(bio, OpenSsl.BIO_FLAGS_RWS | OpenSsl.BIO_FLAGS_SHOULD_RETRY);
        int count = Current!.Send(buffer, length);
        if (count == TlsTransport.TryLater)
        {
            OpenSsl.BIO_set_flags(bio, OpenSsl.BIO_FLAGS_WRITE | OpenSsl.BIO_FLAGS_SHOULD_RETRY);
            return -1;
        }

        return count;
    }

    [UnmanagedCallersOnly]
    private static nint BioControl(nint bio, int command, nint larg, void* parg) => command switch
    {
        // An end of input is not announced as such (BIO_CTRL_EOF): OpenSSL would answer it with an alert to a peer that is gone.
        OpenSsl.BIO_CTRL_FLUSH => 1,
        _ => 0,
    };

    /// <summary>SSL_CTX_set_cert_verify_callback(3): 1 accepts the chain, 0 refuses it; the error set decides the alert.</summary>
    [UnmanagedCallersOnly]
    public static int VerifyPeer(nint storeContext, nint argument)
    {
        TlsTransport connection = Current!;
        int error;
        try
        {
            error = connection.JudgePeer(ReadChain(storeContext)) is { IsValid: false } refused ? ErrorOf(refused.Fault) : 0;
        }
        catch (Exception fault)
        {
            // A bug in the verifier refuses the peer, and surfaces where the handshake is awaited.
            connection.VerifierFault = fault;
            error = OpenSsl.X509_V_ERR_UNSPECIFIED;
        }
        finally
        {
            // The verifier's own use of OpenSSL may leave errors behind, which SSL_get_error would take for this connection's.
            OpenSsl.ERR_clear_error();
        }

        if (error == 0) return 1;
        OpenSsl.X509_STORE_CTX_set_error(storeContext, error);
        return 0;
    }

    /// <summary>SSL_CTX_set_alpn_select_cb(3). The server's order decides; nothing in common is fatal, as RFC 7301 section 3.2 has it.</summary>
    [UnmanagedCallersOnly]
    public static int SelectAlpn(nint ssl, byte** selected, byte* selectedLength, byte* offered, uint offeredLength, nint argument)
    {
        fixed (byte* ours = Current!.Context.AlpnPreference)
        {
            int result = OpenSsl.SSL_select_next_proto(selected, selectedLength, ours, (uint)Current.Context.AlpnPreference.Length, offered, offeredLength);
            return result == OpenSsl.OPENSSL_NPN_NEGOTIATED ? OpenSsl.SSL_TLSEXT_ERR_OK : OpenSsl.SSL_TLSEXT_ERR_ALERT_FATAL;
        }
    }

    private static ReadOnlyMemory<byte>[] ReadChain(nint storeContext)
    {
        nint stack = OpenSsl.X509_STORE_CTX_get0_untrusted(storeContext);
        int count = stack == 0 ? 0 : OpenSsl.OPENSSL_sk_num(stack);
        if (count <= 0) return [];
        var chain = new ReadOnlyMemory<byte>[count];
        for (int i = 0; i < count; i++)
        {
            nint certificate = OpenSsl.OPENSSL_sk_value(stack, i);
            int length = OpenSsl.i2d_X509(certificate, null);
            if (length <= 0) return [];
            byte[] der = new byte[length];
            fixed (byte* start = der)
            {
                byte* position = start;
                if (OpenSsl.i2d_X509(certificate, &position) != length) return [];
            }

            chain[i] = der;
        }

        return chain;
    }

    // ssl/statem/statem_lib.c, ssl_x509err2alert: which error becomes which alert.
    private static int ErrorOf(SvidFault fault) => fault switch
    {
        SvidFault.Expired or SvidFault.NotYetValid or SvidFault.IssuerExpired or SvidFault.IssuerNotYetValid => OpenSsl.X509_V_ERR_CERT_HAS_EXPIRED,
        SvidFault.UnknownTrustDomain or SvidFault.NoAuthorities or SvidFault.UntrustedChain => OpenSsl.X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
        SvidFault.BadSignature => OpenSsl.X509_V_ERR_CERT_SIGNATURE_FAILURE,
        SvidFault.NoDigitalSignature or SvidFault.WrongExtendedKeyUsage => OpenSsl.X509_V_ERR_INVALID_PURPOSE,
        _ => OpenSsl.X509_V_ERR_CERT_REJECTED,
    };
}
