using Mesh.Proxy.Http.Http2;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>Work for nothing has an end (RFC 9113 section 10.5). Time stands still, so that nothing is forgiven.</summary>
public sealed class FloodTests
{
    [Theory]
    [InlineData("ping 0 - z8", 2_500)]
    [InlineData("settings 0 -", 250)]
    [InlineData("data 1 -", 5_000)]
    [InlineData("data 1 P 00", 5_000)]
    [InlineData("windowupdate 0 - 00000001", 10_000)]
    [InlineData("windowupdate 1 - 00000001", 10_000)]
    [InlineData("priority 1 - 000000030f", 10_000)]
    [InlineData("77 0 - 00", 10_000)]
    public async Task Frames_that_do_no_work_are_taken_up_to_a_number(string frame, int number)
    {
        using var side = await Http2Side.ServerAsync(time: new ManualTime());
        await side.Peer.SendAsync("headers 1 H post");
        await side.Exchanges.ExpectAsync("1 POST");
        var one = Http2Peer.Frames(frame);
        var send = Task.Run(() => side.Peer.SendAsync([.. Enumerable.Repeat(one, number + 1)]), TestContext.Current.CancellationToken);
        await side.ExpectFloodAsync();
        await send;
    }

    [Fact]
    public async Task Requests_that_are_reset_at_once_are_taken_up_to_a_number()
    {
        using var side = await Http2Side.ServerAsync(time: new ManualTime());
        var send = Task.Run(() => side.Peer.SendAsync([.. Enumerable.Range(0, 2_501).Select(i => Http2Peer.Frames($"headers {2 * i + 1} EH get|rststream {2 * i + 1} - 00000008"))]), TestContext.Current.CancellationToken);
        await side.ExpectFloodAsync();
        await send;
        Assert.Equal(2_501, side.Exchanges.Streams.Count);
    }

    [Fact]
    public async Task Requests_that_have_to_be_reset_are_taken_up_to_a_number()
    {
        using var side = await Http2Side.ServerAsync(time: new ManualTime());
        var send = Task.Run(() => side.Peer.SendAsync([.. Enumerable.Range(0, 2_501).Select(i => Http2Peer.Frames($"headers {2 * i + 1} EH 82"))]), TestContext.Current.CancellationToken);
        await side.ExpectFloodAsync();
        await send;
        Assert.Empty(side.Exchanges.Streams);
    }

    [Fact]
    public async Task Requests_that_are_answered_pay_for_pings()
    {
        using var side = await Http2Side.ServerAsync(time: new ManualTime(), reacts: Exchanges.Answer);
        for (var id = 1; id < 8_000; id += 2)
        {
            await side.Peer.SendAsync($"headers {id} EH get|ping 0 - z8");
            await side.Peer.ExpectAsync($"headers {id} end", "ping ack");
        }
    }

    [Fact]
    public async Task Time_pays_for_pings()
    {
        var time = new ManualTime();
        using var side = await Http2Side.ServerAsync(time: time);
        for (var round = 0; round < 3; round++)
        {
            await side.Peer.SendAsync([.. Enumerable.Repeat(Http2Peer.Frames("ping 0 - z8"), 2_400)]);
            for (var i = 0; i < 2_400; i++) await side.Peer.ExpectAsync("ping ack");
            await side.PassAsync(time, 3);
        }
    }
}
