using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Tests.Http;

public sealed class HttpDetectionTests
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\n", DetectedProtocol.Http1)]
    [InlineData("X-OWN /a HTTP/1.0\r\nHost: a", DetectedProtocol.Http1)]
    [InlineData("CONNECT a:80 HTTP/1.1\r\n", DetectedProtocol.Http1)]
    [InlineData("GET / HTTP/1.1\n", DetectedProtocol.Http1)] // is refused by the parser
    [InlineData("GET /a b HTTP/1.1\r\n", DetectedProtocol.Http1)]
    [InlineData("GET / HTTP/9\r", DetectedProtocol.Http1)]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", DetectedProtocol.Http2)]
    [InlineData("PRI * HTTP/1.1\r\n", DetectedProtocol.Http1)]
    [InlineData("", DetectedProtocol.NeedMore)]
    [InlineData("P", DetectedProtocol.NeedMore)]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM", DetectedProtocol.NeedMore)]
    [InlineData("GET", DetectedProtocol.NeedMore)]
    [InlineData("GET ", DetectedProtocol.NeedMore)]
    [InlineData("GET / HTTP/1.1", DetectedProtocol.NeedMore)]
    [InlineData("PING\r\n", DetectedProtocol.Other)] // redis
    [InlineData("get key\r\n", DetectedProtocol.Other)] // memcached
    [InlineData("hello", DetectedProtocol.Other)] // no method is written so
    [InlineData("*1\r\n$4\r\nPING\r\n", DetectedProtocol.Other)]
    [InlineData("HELO a\r\n", DetectedProtocol.Other)]
    [InlineData("SSH-2.0-OpenSSH\r\n", DetectedProtocol.Other)]
    [InlineData("\u0016\u0003\u0001", DetectedProtocol.Other)] // TLS
    [InlineData("\0\0\0\u0008", DetectedProtocol.Other)]
    [InlineData(" GET / HTTP/1.1\r\n", DetectedProtocol.Other)]
    [InlineData("GET /\0 HTTP/1.1\r\n", DetectedProtocol.Other)]
    public void The_first_bytes_say_what_it_is(string first, object protocol)
    {
        var bytes = Encoding.Latin1.GetBytes(first);
        Assert.Equal(protocol, HttpDetection.Look(bytes));
        // What is known does not change when more comes, and nothing shorter said otherwise.
        if (!protocol.Equals(DetectedProtocol.NeedMore)) Assert.Equal(protocol, HttpDetection.Look([.. bytes, 1, 2, 3]));
        for (var length = 0; length < bytes.Length; length++) Assert.Contains(HttpDetection.Look(bytes.AsSpan(0, length)), new[] { DetectedProtocol.NeedMore, (DetectedProtocol)protocol });
    }

    [Fact]
    public void Long_lines_are_decided_within_what_is_peeked_at()
    {
        Assert.Equal(DetectedProtocol.Other, HttpDetection.Look(Encoding.ASCII.GetBytes(new string('a', 33))));
        Assert.Equal(DetectedProtocol.NeedMore, HttpDetection.Look(Encoding.ASCII.GetBytes("GET /" + new string('a', HttpDetection.MaxLength - 6))));
        Assert.Equal(DetectedProtocol.Http1, HttpDetection.Look(Encoding.ASCII.GetBytes("GET /" + new string('a', HttpDetection.MaxLength - 5))));
    }
}
