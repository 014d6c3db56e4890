using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Logging;

namespace Mesh.Proxy.Requests;

/// <summary>
/// Where exchanges tell what they did, for those who look: the access log and the tap. While nobody does, <see cref="Begin"/> gives null and
/// costs two comparisons. Lives on the loop.
/// </summary>
internal sealed partial class RequestJournal(LineLog? accessLog)
{
    // As many as are under way at once in a busy proxy; more are left to the collector.
    private const int MostSpare = 256;

    private readonly Stack<RequestRecord> _spare = new();

    /// <summary>A journal that nobody reads.</summary>
    public static RequestJournal None { get; } = new(accessLog: null);

    /// <summary>
    /// A request has begun: takes what is to be told of it, and null when nobody looks. The exchange fills the rest in and gives the record back to
    /// <see cref="End"/>, once.
    /// </summary>
    /// <param name="connection">The client's, by the number in its own line of the log.</param>
    public RequestRecord? Begin(Direction direction, long connection, HttpVersion version, HeaderBlock head)
    {
        if (accessLog is null) return null;
        if (!_spare.TryPop(out var record)) record = new RequestRecord();
        record.Begin(direction, connection, version, head);
        return record;
    }

    /// <summary>The request has ended, and the record holds everything.</summary>
    public void End(RequestRecord record)
    {
        if (accessLog is not null) Log.Ended(accessLog, record);
        if (_spare.Count < MostSpare) _spare.Push(record);
    }
}
