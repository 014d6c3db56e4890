using System.Text;

namespace Mesh.Proxy.Routing;

/// <summary>Which paths a match takes, and how it ranks among others. Paths are compared byte by byte, as the client wrote them.</summary>
internal abstract record PathPattern
{
    private PathPattern() { }

    /// <summary>Any path: the prefix "/".</summary>
    public static PathPattern Any { get; } = new Prefix("/");

    /// <summary>More important kinds first: exact, then regular expressions, whose place Gateway API leaves open, then prefixes.</summary>
    public abstract int Rank { get; }

    /// <summary>Among those of a rank the longer is the more specific; for gRPC that of the service.</summary>
    public abstract int Length { get; }

    /// <summary>Breaks ties: the length of gRPC's method.</summary>
    public virtual int SecondLength => 0;

    public abstract bool IsMatch(ReadOnlySpan<byte> path);

    internal sealed record Exact(string Path) : PathPattern
    {
        private readonly byte[] _path = Encoding.UTF8.GetBytes(Path);

        public override int Rank => 2;

        public override int Length => _path.Length;

        public override bool IsMatch(ReadOnlySpan<byte> path) => path.SequenceEqual(_path);
    }

    /// <summary>By whole segments; a slash at the end means nothing: <c>/a</c> and <c>/a/</c> take <c>/a</c>, <c>/a/</c> and <c>/a/b</c>, not <c>/ab</c>.</summary>
    internal sealed record Prefix : PathPattern
    {
        private readonly byte[] _path;

        public Prefix(string path) => _path = Encoding.UTF8.GetBytes(path.TrimEnd('/'));

        public override int Rank => 0;

        /// <summary>Without the slash at the end: how much of a path it takes.</summary>
        public override int Length => _path.Length;

        public override bool IsMatch(ReadOnlySpan<byte> path) => path.StartsWith(_path) && (path.Length == _path.Length || path[_path.Length] == '/' || _path.Length == 0);
    }

    internal sealed record Pattern(BoundedRegex Regex) : PathPattern
    {
        public override int Rank => 1;

        public override int Length => Regex.ToString().Length;

        public override bool IsMatch(ReadOnlySpan<byte> path) => Regex.IsMatch(path);
    }

    /// <summary>A gRPC call, by service and method; an empty one takes any.</summary>
    internal sealed record Rpc(string Service, string Method) : PathPattern
    {
        private readonly byte[] _service = Encoding.UTF8.GetBytes(Service);
        private readonly byte[] _method = Encoding.UTF8.GetBytes(Method);

        public override int Rank => 0;

        public override int Length => _service.Length;

        public override int SecondLength => _method.Length;

        public override bool IsMatch(ReadOnlySpan<byte> path)
        {
            if (path.IsEmpty || path[0] != '/') return false;
            path = path[1..];
            var slash = path.IndexOf((byte)'/');
            if (slash < 0) return false;
            var method = path[(slash + 1)..];
            return (_service.Length == 0 || path[..slash].SequenceEqual(_service)) && (_method.Length == 0 || method.SequenceEqual(_method)) && method.IndexOf((byte)'/') < 0;
        }
    }
}
