using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Mesh.Hosting;

/// <summary>An address cannot be listened on. The message is one sentence with the setting to change and the address.</summary>
internal sealed class CannotListenException(string setting, IPEndPoint address, Exception cause) : IOException($"{setting}: cannot listen on {address}: {Why(cause)}.", cause)
{
    private static string Why(Exception cause) => cause switch
    {
        IOException { InnerException: AddressInUseException } or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } => "the address is in use",
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } => "this machine does not have the address",
        SocketException { SocketErrorCode: SocketError.AccessDenied } => "not allowed (ports below 1024 need a privilege)",
        _ => cause.Message.TrimEnd('.'),
    };
}
