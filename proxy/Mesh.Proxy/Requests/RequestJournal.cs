using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Tracing;

namespace Mesh.Proxy.Requests;

/// <summary>
/// Where exchanges tell what they did, for those who look: the access log, the tracer, the tap. While nobody does, <see cref="Begin"/> gives null
/// and costs a few comparisons. Lives on the loop.
/// </summary>
internal sealed partial class RequestJournal(LineLog? accessLog, Tracer? tracer = null, RequestTap? tap = null)
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
    /// <param name="head">As it goes on to the server: when there are spans, its trace context is changed.</param>
    public RequestRecord? Begin(Direction direction, long connection, HttpVersion version, HeaderBlock head)
    {
        var span = tracer?.Begin(head);
        if (accessLog is null && span is null && tap is not { IsWatched: true }) return null;
        if (!_spare.TryPop(out var record)) record = new RequestRecord();
        record.Begin(direction, connection, version, head);
        record.Span = span;
        return record;
    }

    /// <summary>The request has ended, and the record holds everything.</summary>
    public void End(RequestRecord record)
    {
        if (accessLog is not null) Log.Ended(accessLog, record);
        tap?.Offer(record);
        if (record.Span is { } span) tracer!.End(span, record);
        if (_spare.Count < MostSpare) _spare.Push(record);
    }
}
