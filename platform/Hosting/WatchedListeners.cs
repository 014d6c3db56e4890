using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Mesh.Hosting;

/// <summary>
/// Kestrel's own socket listeners, watched: when an accept loop ends by an exception Kestrel only logs it and the process
/// lives on deaf. Here <see cref="Failed"/> completes and the process ends with a failure, so that its supervisor restarts it.
/// </summary>
internal sealed class WatchedListeners(SocketTransportFactory sockets) : IConnectionListenerFactory
{
    private readonly TaskCompletionSource<Exception> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with the reason when a listener can accept no more.</summary>
    public Task<Exception> Failed => _failed.Task;

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Watched(await sockets.BindAsync(endpoint, cancellationToken), _failed);

    private sealed class Watched(IConnectionListener inner, TaskCompletionSource<Exception> failed) : IConnectionListener
    {
        public EndPoint EndPoint => inner.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            try
            {
                return await inner.AcceptAsync(cancellationToken);
            }
            catch (Exception reason) when (reason is not OperationCanceledException)
            {
                failed.TrySetResult(reason);
                throw;
            }
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => inner.UnbindAsync(cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
