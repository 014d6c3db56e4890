namespace Grpc.Core;

/// <summary>How a message is written.</summary>
[Flags]
public enum WriteFlags
{
    None = 0,

    /// <summary>More follows soon: the message may wait in the buffer for the next one.</summary>
    BufferHint = 1,

    /// <summary>Send this message as it is, even when the stream is compressed.</summary>
    NoCompress = 2,
}

/// <summary>Options of a write.</summary>
public sealed class WriteOptions
{
    public static readonly WriteOptions Default = new();

    public WriteOptions(WriteFlags flags = WriteFlags.None) => Flags = flags;

    public WriteFlags Flags { get; }
}
