using System.Runtime.InteropServices;

namespace Mesh.Proxy.Native;

/// <summary>
/// The functions of OpenSSL 3 (libssl.so.3, libcrypto.so.3) that the proxy calls, by their own names; each has a manual page of section 3.
/// Macros of the C headers are written out as the SSL_ctrl / SSL_CTX_ctrl calls they are.
/// </summary>
internal static unsafe class OpenSsl
{
    private const string Ssl = "libssl.so.3";
    private const string Crypto = "libcrypto.so.3";

    public const int SSL_ERROR_NONE = 0, SSL_ERROR_SSL = 1, SSL_ERROR_WANT_READ = 2, SSL_ERROR_WANT_WRITE = 3, SSL_ERROR_SYSCALL = 5, SSL_ERROR_ZERO_RETURN = 6;
    public const int SSL_VERIFY_NONE = 0, SSL_VERIFY_PEER = 1, SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
    public const int TLS1_3_VERSION = 0x0304;
    public const int TLSEXT_NAMETYPE_host_name = 0;
    public const int SSL_TLSEXT_ERR_OK = 0, SSL_TLSEXT_ERR_ALERT_FATAL = 2;
    public const int OPENSSL_NPN_NEGOTIATED = 1;

    public const int SSL_CTRL_MODE = 33, SSL_CTRL_SET_READ_AHEAD = 41, SSL_CTRL_SET_SESS_CACHE_MODE = 44, SSL_CTRL_SET_MAX_CERT_LIST = 51, SSL_CTRL_CLEAR_MODE = 78, SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
    public const int SSL_CTRL_CHAIN_CERT = 89, SSL_CTRL_SET_GROUPS_LIST = 92, SSL_CTRL_SET_MIN_PROTO_VERSION = 123, SSL_CTRL_SET_MAX_PROTO_VERSION = 124, SSL_CTRL_GET_NEGOTIATED_GROUP = 134;
    public const nint SSL_MODE_ENABLE_PARTIAL_WRITE = 1, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2, SSL_MODE_AUTO_RETRY = 4, SSL_MODE_NO_AUTO_CHAIN = 8, SSL_MODE_RELEASE_BUFFERS = 0x10;
    public const ulong SSL_OP_NO_TICKET = 1UL << 14, SSL_OP_CIPHER_SERVER_PREFERENCE = 1UL << 22, SSL_OP_NO_RENEGOTIATION = 1UL << 30;

    public const int SSL_RECEIVED_SHUTDOWN = 2;

    // sslerr.h: the reasons this proxy tells apart. Alerts from the peer are 1000 + the alert's number.
    public const int ERR_LIB_SSL = 20, SSL_AD_REASON_OFFSET = 1000;
    public const int SSL_R_CERTIFICATE_VERIFY_FAILED = 134, SSL_R_HTTPS_PROXY_REQUEST = 155, SSL_R_HTTP_REQUEST = 156, SSL_R_NO_PROTOCOLS_AVAILABLE = 191,
        SSL_R_PACKET_LENGTH_TOO_LONG = 198, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE = 199, SSL_R_NO_APPLICATION_PROTOCOL = 235, SSL_R_UNEXPECTED_MESSAGE = 244,
        SSL_R_UNKNOWN_PROTOCOL = 252, SSL_R_UNSUPPORTED_PROTOCOL = 258, SSL_R_WRONG_SSL_VERSION = 266, SSL_R_WRONG_VERSION_NUMBER = 267,
        SSL_R_UNEXPECTED_EOF_WHILE_READING = 294, SSL_R_VERSION_TOO_LOW = 396, SSL_R_BAD_RECORD_TYPE = 443;

    // x509_vfy.h: what the verify callback says to OpenSSL, which chooses the alert by it.
    public const int X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT = 2, X509_V_ERR_CERT_SIGNATURE_FAILURE = 7, X509_V_ERR_CERT_HAS_EXPIRED = 10,
        X509_V_ERR_INVALID_PURPOSE = 26, X509_V_ERR_CERT_REJECTED = 28, X509_V_ERR_UNSPECIFIED = 1;

    public const int BIO_CTRL_FLUSH = 11, BIO_TYPE_SOURCE_SINK = 0x400;
    public const int BIO_FLAGS_READ = 1, BIO_FLAGS_WRITE = 2, BIO_FLAGS_SHOULD_RETRY = 8, BIO_FLAGS_RWS = 7;

    [DllImport(Ssl)] public static extern nint TLS_method();
    [DllImport(Ssl)] public static extern nint SSL_CTX_new(nint method);
    [DllImport(Ssl)] public static extern void SSL_CTX_free(nint context);
    [DllImport(Ssl)] public static extern nint SSL_CTX_ctrl(nint context, int command, nint larg, void* parg);
    [DllImport(Ssl)] public static extern ulong SSL_CTX_set_options(nint context, ulong options);
    [DllImport(Ssl)] public static extern int SSL_CTX_set_num_tickets(nint context, nuint count);
    [DllImport(Ssl)] public static extern int SSL_CTX_set_ciphersuites(nint context, byte* names);
    [DllImport(Ssl)] public static extern void SSL_CTX_set_default_read_buffer_len(nint context, nuint length);
    [DllImport(Ssl)] public static extern void SSL_set_default_read_buffer_len(nint ssl, nuint length);
    [DllImport(Ssl)] public static extern int SSL_CTX_use_certificate(nint context, nint certificate);
    [DllImport(Ssl)] public static extern int SSL_CTX_use_PrivateKey(nint context, nint key);
    [DllImport(Ssl)] public static extern int SSL_CTX_check_private_key(nint context);
    [DllImport(Ssl)] public static extern void SSL_CTX_set_verify(nint context, int mode, nint callback);
    [DllImport(Ssl)] public static extern void SSL_CTX_set_cert_verify_callback(nint context, delegate* unmanaged<nint, nint, int> callback, nint argument);
    [DllImport(Ssl)] public static extern int SSL_CTX_set_alpn_protos(nint context, byte* protocols, uint length);
    [DllImport(Ssl)] public static extern void SSL_CTX_set_alpn_select_cb(nint context, delegate* unmanaged<nint, byte**, byte*, byte*, uint, nint, int> callback, nint argument);
    [DllImport(Ssl)] public static extern int SSL_select_next_proto(byte** selected, byte* selectedLength, byte* server, uint serverLength, byte* client, uint clientLength);
    [DllImport(Ssl)] public static extern nint SSL_new(nint context);
    [DllImport(Ssl)] public static extern void SSL_free(nint ssl);
    [DllImport(Ssl)] public static extern void SSL_set_bio(nint ssl, nint read, nint write);
    [DllImport(Ssl)] public static extern void SSL_set_accept_state(nint ssl);
    [DllImport(Ssl)] public static extern void SSL_set_connect_state(nint ssl);
    [DllImport(Ssl)] public static extern nint SSL_ctrl(nint ssl, int command, nint larg, void* parg);
    [DllImport(Ssl)] public static extern int SSL_do_handshake(nint ssl);
    [DllImport(Ssl)] public static extern int SSL_read(nint ssl, byte* buffer, int length);
    [DllImport(Ssl)] public static extern int SSL_write(nint ssl, byte* buffer, int length);
    [DllImport(Ssl)] public static extern int SSL_shutdown(nint ssl);
    [DllImport(Ssl)] public static extern int SSL_get_shutdown(nint ssl);
    [DllImport(Ssl)] public static extern int SSL_get_error(nint ssl, int result);
    [DllImport(Ssl), SuppressGCTransition] public static extern int SSL_has_pending(nint ssl);
    [DllImport(Ssl)] public static extern nint SSL_get_servername(nint ssl, int type);
    [DllImport(Ssl)] public static extern void SSL_get0_alpn_selected(nint ssl, byte** data, uint* length);
    [DllImport(Ssl)] public static extern nint SSL_get_current_cipher(nint ssl);
    [DllImport(Ssl)] public static extern ushort SSL_CIPHER_get_protocol_id(nint cipher);
    [DllImport(Ssl)] public static extern nint SSL_group_to_name(nint ssl, int group);

    [DllImport(Crypto)] public static extern nint d2i_X509(nint* reuse, byte** der, nint length);
    [DllImport(Crypto)] public static extern int i2d_X509(nint certificate, byte** der);
    [DllImport(Crypto)] public static extern void X509_free(nint certificate);
    [DllImport(Crypto)] public static extern nint d2i_AutoPrivateKey(nint* reuse, byte** der, nint length);
    [DllImport(Crypto)] public static extern void EVP_PKEY_free(nint key);
    [DllImport(Crypto)] public static extern nint X509_STORE_CTX_get0_cert(nint context);
    [DllImport(Crypto)] public static extern nint X509_STORE_CTX_get0_untrusted(nint context);
    [DllImport(Crypto)] public static extern void X509_STORE_CTX_set_error(nint context, int error);
    [DllImport(Crypto)] public static extern int OPENSSL_sk_num(nint stack);
    [DllImport(Crypto)] public static extern nint OPENSSL_sk_value(nint stack, int index);
    [DllImport(Crypto)] public static extern void ERR_clear_error();
    [DllImport(Crypto)] public static extern ulong ERR_peek_error();
    [DllImport(Crypto)] public static extern ulong ERR_peek_last_error();
    [DllImport(Crypto)] public static extern nint ERR_reason_error_string(ulong error);
    [DllImport(Crypto)] public static extern int BIO_get_new_index();
    [DllImport(Crypto)] public static extern nint BIO_meth_new(int type, byte* name);
    [DllImport(Crypto)] public static extern int BIO_meth_set_read(nint method, delegate* unmanaged<nint, byte*, int, int> read);
    [DllImport(Crypto)] public static extern int BIO_meth_set_write(nint method, delegate* unmanaged<nint, byte*, int, int> write);
    [DllImport(Crypto)] public static extern int BIO_meth_set_ctrl(nint method, delegate* unmanaged<nint, int, nint, void*, nint> ctrl);
    [DllImport(Crypto)] public static extern nint BIO_new(nint method);
    [DllImport(Crypto)] public static extern void BIO_set_init(nint bio, int init);
    [DllImport(Crypto), SuppressGCTransition] public static extern void BIO_set_flags(nint bio, int flags);
    [DllImport(Crypto), SuppressGCTransition] public static extern void BIO_clear_flags(nint bio, int flags);

    /// <summary>The text of the oldest error in this thread's queue, for a log; the queue is left as it is.</summary>
    public static string FirstErrorText() => Marshal.PtrToStringUTF8(ERR_reason_error_string(ERR_peek_error())) ?? "unknown error";
}
