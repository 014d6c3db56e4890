namespace Mesh.Proxy.Http.Http2;

internal enum Http2Role : byte
{
    /// <summary>The peer opens streams, with odd ids.</summary>
    Server = 0,

    /// <summary>We open streams, with odd ids.</summary>
    Client = 1,
}

/// <summary>
/// The state of streams that are not, or no longer, in the table of live ones: idle, forgotten, or closed a short while ago, of which the last
/// <see cref="Remembered"/> are known. That is what frames still under way can be about.
/// </summary>
internal sealed class StreamIds(Http2Role role)
{
    public const int Remembered = 256;

    private readonly Http2Role _role = role;
    private int[] _closed = [];
    private StreamState[] _how = [];
    private int _next;

    /// <summary>The highest id that has been opened; 0 for none. In GOAWAY this is the last stream the server will answer.</summary>
    public int Last { get; private set; }

    /// <summary>The state of a stream that is not live.</summary>
    public StreamState StateOf(int id)
    {
        var at = Array.IndexOf(_closed, id);
        if (at >= 0) return _how[at];
        return id > Last || (id & 1) == 0 ? StreamState.Idle : StreamState.Forgotten;
    }

    /// <summary>
    /// A peer's HEADERS on an idle stream opens it (RFC 9113 section 5.1.1). <paramref name="live"/> is how many of its streams are open,
    /// <paramref name="limit"/> how many we have allowed. After <see cref="Http2Fault.TooManyStreams"/> the id is used all the same: the stream is
    /// reset, and its field block decoded.
    /// </summary>
    public Http2Fault Open(int id, int live, int limit)
    {
        if (_role == Http2Role.Client || (id & 1) == 0 || id <= Last) return Http2Fault.BadStreamId;
        Last = id;
        return live < limit ? Http2Fault.None : Http2Fault.TooManyStreams;
    }

    /// <summary>The id of the next stream that we open; 0 when there is none left and the connection must be replaced.</summary>
    public int Next()
    {
        if (_role != Http2Role.Client) throw new InvalidOperationException("A server does not open streams.");
        if (Last == int.MaxValue) return 0;
        return Last = Last == 0 ? 1 : Last + 2;
    }

    /// <summary>Remembers how a stream was closed.</summary>
    public void Close(int id, StreamState how)
    {
        if (_closed.Length == 0 || (_next == _closed.Length && _next < Remembered))
        {
            Array.Resize(ref _closed, Math.Max(16, _closed.Length * 4));
            Array.Resize(ref _how, _closed.Length);
        }

        if (_next == _closed.Length) _next = 0;
        _closed[_next] = id;
        _how[_next++] = how;
    }
}
