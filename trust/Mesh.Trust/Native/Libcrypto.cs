using System.Runtime.InteropServices;

namespace Mesh.Trust.Native;

/// <summary>The few functions of OpenSSL 3's libcrypto that the framework does not reach. Documented, none deprecated.</summary>
internal static unsafe partial class Libcrypto
{
    private const string Library = "libcrypto.so.3";
    private const ulong InitNoAtExit = 0x0008_0000;

    public const int PublicKeySelection = 0x86; // EVP_PKEY_PUBLIC_KEY: domain parameters and public key
    public const uint Utf8String = 4;           // OSSL_PARAM_UTF8_STRING
    public const uint OctetString = 5;          // OSSL_PARAM_OCTET_STRING

    /// <summary>False where the library, or a function of it, is missing; then the framework does the same work, more slowly.</summary>
    public static bool IsAvailable { get; } = Load();

    private static bool Load()
    {
        if (!NativeLibrary.TryLoad(Library, out var library)) return false;
        string[] needed =
        [
            "OPENSSL_init_crypto", "ERR_clear_error", "EVP_PKEY_CTX_new_from_name", "EVP_PKEY_CTX_new_from_pkey", "EVP_PKEY_CTX_free",
            "EVP_PKEY_fromdata_init", "EVP_PKEY_fromdata", "EVP_PKEY_free", "EVP_PKEY_set1_encoded_public_key", "EVP_PKEY_verify_init", "EVP_PKEY_verify",
        ];
        foreach (var name in needed)
        {
            if (!NativeLibrary.TryGetExport(library, name, out _)) return false;
        }

        // The library must not tear itself down in an exit handler while other threads still use it; the framework asks the same.
        return OPENSSL_init_crypto(InitNoAtExit, 0) == 1;
    }

    [LibraryImport(Library)]
    private static partial int OPENSSL_init_crypto(ulong options, nint settings);

    [LibraryImport(Library)]
    public static partial void ERR_clear_error();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint EVP_PKEY_CTX_new_from_name(nint libraryContext, string name, string? properties);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint EVP_PKEY_CTX_new_from_pkey(nint libraryContext, nint key, string? properties);

    [LibraryImport(Library)]
    public static partial void EVP_PKEY_CTX_free(nint context);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_fromdata_init(nint context);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_fromdata(nint context, nint* key, int selection, Parameter* parameters);

    [LibraryImport(Library)]
    public static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_set1_encoded_public_key(nint key, byte* encoded, nuint length);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_verify_init(nint context);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_verify(nint context, byte* signature, nuint signatureLength, byte* hash, nuint hashLength);

    /// <summary>OSSL_PARAM.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Parameter
    {
        public byte* Key;
        public uint Type;
        public void* Data;
        public nuint Size;
        public nuint ReturnSize;
    }
}
