namespace Mesh.Proxy.Http.Hpack;

/// <summary>Why a field block cannot be decoded. Any of them but <see cref="ListTooLarge"/> ends the connection with COMPRESSION_ERROR.</summary>
internal enum HpackFault : byte
{
    None = 0,
    Truncated = 1,
    IntegerTooLarge = 2,
    BadIndex = 3,
    BadHuffmanCode = 4,
    TableSizeTooLarge = 5,
    TableSizeUpdateTooLate = 6,

    /// <summary>The list is beyond its limits. The block was read to its end, so that the tables agree and the connection can go on.</summary>
    ListTooLarge = 7,
}

internal static class HpackFaults
{
    public static string Sentence(HpackFault fault) => fault switch
    {
        HpackFault.None => "The field block is well formed.",
        HpackFault.Truncated => "The field block ends within a field.",
        HpackFault.IntegerTooLarge => "An integer in the field block is larger than anything that it could count.",
        HpackFault.BadIndex => "The field block refers to a table entry that is not there.",
        HpackFault.BadHuffmanCode => "A string in the field block is not Huffman code with proper padding.",
        HpackFault.TableSizeTooLarge => "The field block makes the dynamic table larger than the settings allow.",
        HpackFault.TableSizeUpdateTooLate => "The field block changes the size of the dynamic table after its first field.",
        HpackFault.ListTooLarge => "The fields are more, or larger, than the limit that was announced.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}
