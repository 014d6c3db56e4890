using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Exchanges;

/// <summary>The exchanges of one loop and direction, reused, and what they share.</summary>
/// <param name="loop">Where they live.</param>
/// <param name="failFast">How long a request waits for a server that can take it.</param>
internal sealed class ExchangePool(EventLoop loop, TimeSpan failFast)
{
    // Beyond a burst of this size they are left to the collector.
    private const int MaxIdle = 256;

    private readonly Stack<Exchange> _idle = new();

    public EventLoop Loop => loop;

    public long FailFastMilliseconds { get; } = (long)failFast.TotalMilliseconds;

    /// <summary>For heads that are made and sent at once.</summary>
    public HeaderBlock Scratch { get; } = new();

    /// <summary>Requests under way.</summary>
    public int Active { get; private set; }

    /// <summary>An exchange for the request that begins on <paramref name="down"/>.</summary>
    public Exchange Begin(HttpStream down, IExchangeRoutes routes)
    {
        var exchange = _idle.Count > 0 ? _idle.Pop() : new Exchange(this);
        Active++;
        exchange.Begin(down, routes);
        return exchange;
    }

    internal void Return(Exchange exchange)
    {
        Active--;
        if (_idle.Count < MaxIdle) _idle.Push(exchange);
    }

    /// <summary>Sends a sentence and a line end as the whole body.</summary>
    internal void SendText(HttpStream down, string sentence)
    {
        Span<byte> text = stackalloc byte[256];
        var length = System.Text.Encoding.ASCII.GetBytes(sentence, text);
        text[length] = (byte)'\n';
        down.SendData(text[..(length + 1)], end: true);
    }
}
