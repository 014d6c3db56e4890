using System.Buffers.Binary;

namespace Mesh.Proxy.Http.Http2;

/// <summary>RFC 9113 section 6.5.2 and RFC 8441 section 3. Others are ignored.</summary>
internal enum SettingId : ushort
{
    HeaderTableSize = 1,
    EnablePush = 2,
    MaxConcurrentStreams = 3,
    InitialWindowSize = 4,
    MaxFrameSize = 5,
    MaxHeaderListSize = 6,
    EnableConnectProtocol = 8,
}

/// <summary>What the peer has told us in SETTINGS; what it has not has its default.</summary>
internal struct PeerSettings
{
    public PeerSettings()
    {
    }

    public uint HeaderTableSize { get; private set; } = 4096;

    public uint MaxConcurrentStreams { get; private set; } = uint.MaxValue;

    /// <summary>Bytes a stream may send before the peer says more.</summary>
    public int InitialWindowSize { get; private set; } = FlowWindow.Default;

    /// <summary>Bytes of payload of the largest frame we may send.</summary>
    public int MaxFrameSize { get; private set; } = 16 * 1024;

    public uint MaxHeaderListSize { get; private set; } = uint.MaxValue;

    /// <summary>Whether CONNECT with <c>:protocol</c> is understood there (RFC 8441).</summary>
    public bool EnableConnectProtocol { get; private set; }

    /// <summary>
    /// Takes the payload of a SETTINGS frame without ACK, its settings in order. <paramref name="windowChange"/> is what the send windows of all
    /// streams change by (section 6.9.2).
    /// </summary>
    public Http2Fault Apply(ReadOnlySpan<byte> payload, out int windowChange)
    {
        var before = InitialWindowSize;
        windowChange = 0;
        for (; payload.Length >= 6; payload = payload[6..])
        {
            var value = BinaryPrimitives.ReadUInt32BigEndian(payload[2..]);
            switch ((SettingId)BinaryPrimitives.ReadUInt16BigEndian(payload))
            {
                case SettingId.HeaderTableSize:
                    HeaderTableSize = value;
                    break;
                case SettingId.EnablePush:
                    if (value > 1) return Http2Fault.BadSetting;
                    break;
                case SettingId.MaxConcurrentStreams:
                    MaxConcurrentStreams = value;
                    break;
                case SettingId.InitialWindowSize:
                    if (value > int.MaxValue) return Http2Fault.BadWindowSetting;
                    InitialWindowSize = (int)value;
                    break;
                case SettingId.MaxFrameSize:
                    if (value is < 16 * 1024 or > 0xffffff) return Http2Fault.BadSetting;
                    MaxFrameSize = (int)value;
                    break;
                case SettingId.MaxHeaderListSize:
                    MaxHeaderListSize = value;
                    break;
                case SettingId.EnableConnectProtocol:
                    // RFC 8441 section 3: only 0 or 1, and never back to 0.
                    if (value > 1 || (value == 0 && EnableConnectProtocol)) return Http2Fault.BadSetting;
                    EnableConnectProtocol = value == 1;
                    break;
            }
        }

        windowChange = InitialWindowSize - before;
        return Http2Fault.None;
    }
}
