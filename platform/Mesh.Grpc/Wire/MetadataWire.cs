using Grpc.Core;
using Microsoft.Extensions.Primitives;

namespace Mesh.Grpc.Wire;

/// <summary>Metadata as HTTP/2 fields.</summary>
internal static class MetadataWire
{
    /// <summary>Binary values travel as base64 without padding; both forms are read.</summary>
    public static string Value(Metadata.Entry entry) =>
        entry.IsBinary ? Convert.ToBase64String(entry.ValueBytes).TrimEnd('=') : entry.Value;

    /// <summary>Adds a received field. Values that break the rules of metadata are left out: they were not sent by a gRPC library.</summary>
    public static void Add(Metadata metadata, string name, StringValues values)
    {
        foreach (var value in values)
            if (value is not null) Add(metadata, name, value);
    }

    public static void Add(Metadata metadata, string name, string value)
    {
        if (!name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
        {
            try
            {
                metadata.Add(name, value);
            }
            catch (ArgumentException)
            {
                // A field name or value outside gRPC's alphabet (RFC 9110 allows more).
            }

            return;
        }

        // Several values of one key may have been joined with commas on the way.
        foreach (var range in value.AsSpan().Split(','))
        {
            var text = value.AsSpan(range).Trim(' ');
            var bytes = new byte[text.Length];
            var padded = text.TrimEnd('=').ToString().PadRight((text.TrimEnd('=').Length + 3) / 4 * 4, '=');
            if (Convert.TryFromBase64String(padded, bytes.AsSpan(), out var length)) metadata.Add(name, bytes[..length]);
        }
    }

    /// <summary>Fields of the protocol itself: neither shown to applications nor sent from their metadata.</summary>
    public static bool IsReserved(string name) => name switch
    {
        "content-type" or "te" or "host" or "trailer" or "connection" or "transfer-encoding" or "content-length"
            or "grpc-status" or "grpc-message" or "grpc-encoding" or "grpc-accept-encoding" or "grpc-timeout" or "grpc-internal-encoding-request" => true,
        _ => name.StartsWith(':'),
    };
}
