using Mesh.Destination.Services;

namespace Mesh.Destination.Discovery;

/// <summary>The services that streams follow, kept at the newest table. A service nobody follows costs nothing.</summary>
internal sealed class ServiceRegister
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Authority, ServiceFeed> _feeds = [];
    private ServiceTable? _table;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The newest table, null before the first, and the signal that it is not the newest any more.</summary>
    public (ServiceTable? Table, Task Changed) Current
    {
        get { lock (_lock) return (_table, _changed.Task); }
    }

    public void Publish(ServiceTable table)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            _table = table;
            (changed, _changed) = (_changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            foreach (var (authority, feed) in _feeds) feed.Publish(table.Find(authority));
        }

        changed.SetResult();
    }

    /// <summary>Joins the followers of a service; null when there is no such service now. <see cref="Leave"/> it at the end.</summary>
    public ServiceFeed? Follow(Authority authority)
    {
        lock (_lock)
        {
            if (_table?.Find(authority) is not { } service) return null;
            if (!_feeds.TryGetValue(authority, out var feed)) _feeds[authority] = feed = new ServiceFeed(service);
            feed.Followers++;
            return feed;
        }
    }

    public void Leave(Authority authority, ServiceFeed feed)
    {
        lock (_lock)
        {
            if (--feed.Followers == 0) _feeds.Remove(authority);
        }
    }
}
