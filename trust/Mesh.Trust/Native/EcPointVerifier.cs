using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Mesh.Trust.Native;

/// <summary>
/// Verifies ECDSA signatures by keys that are used once, as those of certificate requests are. The framework spends twice the cost
/// of a verification on importing such a key (it builds the group anew and multiplies the point by the group's order, which on curves of
/// cofactor 1 says nothing that being on the curve does not). Here one key object per thread and curve takes each new point;
/// OpenSSL checks that the point is on the curve, and refuses the point at infinity.
/// </summary>
internal sealed class EcPointVerifier : SafeHandle
{
    [ThreadStatic] private static EcPointVerifier? _p256;
    [ThreadStatic] private static EcPointVerifier? _p384;

    private EcPointVerifier(nint key) : base(0, ownsHandle: true) => SetHandle(key);

    public override bool IsInvalid => handle == 0;

    /// <summary>Only where <see cref="Libcrypto.IsAvailable"/>.</summary>
    /// <param name="curve">OpenSSL's name of the curve: <c>prime256v1</c> or <c>secp384r1</c>.</param>
    /// <param name="point">The public key, uncompressed (SEC 1 section 2.3.3).</param>
    /// <param name="hash">The hash that was signed.</param>
    /// <param name="signature">DER, RFC 3279 section 2.2.3.</param>
    /// <returns>False for a signature that does not verify and for a point that is not on the curve.</returns>
    public static bool Verify(string curve, ReadOnlySpan<byte> point, ReadOnlySpan<byte> hash, ReadOnlySpan<byte> signature)
    {
        ref var slot = ref curve == "prime256v1" ? ref _p256 : ref _p384;
        if (slot is null)
        {
            // The first point becomes part of the key object, so a bad one must not leave a half-made object behind.
            slot = Create(curve, point);
            if (slot is null) return false;
        }

        return slot.Verify(point, hash, signature);
    }

    protected override bool ReleaseHandle()
    {
        Libcrypto.EVP_PKEY_free(handle);
        return true;
    }

    private static unsafe EcPointVerifier? Create(string curve, ReadOnlySpan<byte> point)
    {
        var context = Libcrypto.EVP_PKEY_CTX_new_from_name(0, "EC", null);
        if (context == 0) throw new CryptographicException("OpenSSL could not make a context for EC keys.");
        try
        {
            var name = Encoding.ASCII.GetBytes(curve + "\0");
            nint key = 0;
            fixed (byte* group = "group\0"u8, pub = "pub\0"u8, value = name, bytes = point)
            {
                var parameters = stackalloc Libcrypto.Parameter[3];
                parameters[0] = new Libcrypto.Parameter { Key = group, Type = Libcrypto.Utf8String, Data = value, Size = (nuint)curve.Length };
                parameters[1] = new Libcrypto.Parameter { Key = pub, Type = Libcrypto.OctetString, Data = bytes, Size = (nuint)point.Length };
                parameters[2] = default;
                if (Libcrypto.EVP_PKEY_fromdata_init(context) == 1 && Libcrypto.EVP_PKEY_fromdata(context, &key, Libcrypto.PublicKeySelection, parameters) == 1)
                    return new EcPointVerifier(key);
            }

            Libcrypto.ERR_clear_error();
            return null;
        }
        finally
        {
            Libcrypto.EVP_PKEY_CTX_free(context);
        }
    }

    private unsafe bool Verify(ReadOnlySpan<byte> point, ReadOnlySpan<byte> hash, ReadOnlySpan<byte> signature)
    {
        nint context = 0;
        try
        {
            fixed (byte* p = point, h = hash, s = signature)
            {
                if (Libcrypto.EVP_PKEY_set1_encoded_public_key(handle, p, (nuint)point.Length) == 1
                    && (context = Libcrypto.EVP_PKEY_CTX_new_from_pkey(0, handle, null)) != 0
                    && Libcrypto.EVP_PKEY_verify_init(context) == 1
                    && Libcrypto.EVP_PKEY_verify(context, s, (nuint)signature.Length, h, (nuint)hash.Length) == 1)
                    return true;
            }

            // What failed is left in a queue of this thread, where the next caller of OpenSSL would find it.
            Libcrypto.ERR_clear_error();
            return false;
        }
        finally
        {
            Libcrypto.EVP_PKEY_CTX_free(context);
        }
    }
}
