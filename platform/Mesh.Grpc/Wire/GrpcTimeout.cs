using System.Globalization;

namespace Mesh.Grpc.Wire;

/// <summary>The <c>grpc-timeout</c> header: up to eight digits and a unit (gRPC over HTTP2, "Timeout").</summary>
public static class GrpcTimeout
{
    /// <summary>Longer waits than a hundred days are no waits; timers do not reach further.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromDays(100);

    /// <summary>Reads a header value. False: it breaks the grammar. Waits beyond 100 days are cut to that.</summary>
    public static bool TryParse(ReadOnlySpan<char> value, out TimeSpan timeout)
    {
        timeout = default;
        if (value.Length is < 2 or > 9) return false;
        long amount = 0;
        foreach (var c in value[..^1])
        {
            if (!char.IsAsciiDigit(c)) return false;
            amount = amount * 10 + (c - '0');
        }

        // 99,999,999 hours in ticks still fit in 63 bits.
        long? ticks = value[^1] switch
        {
            'H' => amount * TimeSpan.TicksPerHour,
            'M' => amount * TimeSpan.TicksPerMinute,
            'S' => amount * TimeSpan.TicksPerSecond,
            'm' => amount * TimeSpan.TicksPerMillisecond,
            'u' => amount * TimeSpan.TicksPerMicrosecond,
            'n' => amount / TimeSpan.NanosecondsPerTick,
            _ => null,
        };
        if (ticks is null) return false;
        timeout = ticks > Longest.Ticks ? Longest : TimeSpan.FromTicks(ticks.Value);
        return true;
    }

    /// <summary>The header value for a wait, in the finest unit that fits eight digits; rounded up, so that the peer never gives up first.</summary>
    public static string Format(TimeSpan timeout)
    {
        const long most = 99_999_999;
        if (timeout <= TimeSpan.Zero) return "1n";
        var ticks = timeout.Ticks;
        if (ticks <= most / TimeSpan.NanosecondsPerTick) return Text(ticks * TimeSpan.NanosecondsPerTick, 'n');
        if (RoundUp(ticks, TimeSpan.TicksPerMicrosecond) is <= most and var micros) return Text(micros, 'u');
        if (RoundUp(ticks, TimeSpan.TicksPerMillisecond) is <= most and var millis) return Text(millis, 'm');
        if (RoundUp(ticks, TimeSpan.TicksPerSecond) is <= most and var seconds) return Text(seconds, 'S');
        if (RoundUp(ticks, TimeSpan.TicksPerMinute) is <= most and var minutes) return Text(minutes, 'M');
        return Text(RoundUp(ticks, TimeSpan.TicksPerHour), 'H');

        static long RoundUp(long ticks, long unit) => ticks / unit + (ticks % unit == 0 ? 0 : 1);

        static string Text(long amount, char unit) => string.Create(CultureInfo.InvariantCulture, $"{amount}{unit}");
    }
}
