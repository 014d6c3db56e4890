using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Trust.Anchors;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Trust.Tests.Anchors;

public sealed class AnchorSourceTests : IDisposable
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private readonly TemporaryDirectory _folder = new();
    private readonly TestAuthority _first = TestAuthority.CreateRoot();
    private readonly TestAuthority _second = TestAuthority.CreateRoot();

    private string AnchorsFile => _folder.File("ca-bundle.crt");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void PEM_and_SPIFFE_bundles_are_read()
    {
        Write(_first.CertificatePem + _second.CertificatePem);
        using (var source = Open()) Assert.Equal([_first.Certificate, _second.Certificate], source.Current.Bundle!.X509Authorities);
        Write(new TrustBundle(Domain, [_second.Certificate], 7).ToJson());
        using (var source = Open()) Assert.Equal([_second.Certificate], source.Current.Bundle!.X509Authorities);
    }

    [Fact]
    public void Only_our_own_trust_domain_is_answered_for()
    {
        Write(_first.CertificatePem);
        using var source = Open();
        Assert.NotNull(source.Find(Domain));
        Assert.Null(source.Find(TrustDomain.Parse("example.com")));
    }

    [Theory]
    [InlineData("", AnchorFault.BadContent)]
    [InlineData("nothing", AnchorFault.BadContent)]
    [InlineData("{", AnchorFault.BadContent)]
    [InlineData("{\"keys\":[]}", AnchorFault.Empty)]
    public void A_bad_content_leaves_the_last_good_one(string content, AnchorFault fault)
    {
        Write(_first.CertificatePem);
        using var source = Open();
        Write(content);
        source.Read();
        Assert.Equal(fault, source.Current.Problem!.Fault);
        Assert.Equal([_first.Certificate], source.Current.Bundle!.X509Authorities);
        Write(_second.CertificatePem);
        source.Read();
        Assert.Null(source.Current.Problem);
        Assert.Equal([_second.Certificate], source.Current.Bundle!.X509Authorities);
    }

    [Fact]
    public void A_file_taken_away_leaves_the_last_good_content()
    {
        Write(_first.CertificatePem);
        using var source = Open();
        File.Delete(AnchorsFile);
        source.Read();
        Assert.Equal(AnchorFault.Unreadable, source.Current.Problem!.Fault);
        Assert.NotNull(source.Current.Bundle);
        Write(_first.CertificatePem);
        source.Read();
        Assert.Null(source.Current.Problem);
    }

    [Fact]
    public void Without_a_file_there_is_no_bundle_until_there_is_one()
    {
        using var source = Open();
        Assert.Null(source.Current.Bundle);
        Assert.Equal(AnchorFault.Unreadable, source.Current.Problem!.Fault);
        Write(_first.CertificatePem);
        source.Read();
        Assert.NotNull(source.Current.Bundle);
    }

    [Fact]
    public void The_sequence_grows_with_each_change_and_not_without_one()
    {
        Write(_first.CertificatePem);
        using var source = Open();
        var first = source.Current.Bundle!.Sequence!.Value;
        Write("# only a comment changed\n" + _first.CertificatePem);
        source.Read();
        Assert.Equal(first, source.Current.Bundle!.Sequence);
        // Written within the same millisecond, or with an old date: still later.
        Write(_second.CertificatePem, DateTimeOffset.UtcNow.AddYears(-1));
        source.Read();
        Assert.Equal(first + 1, source.Current.Bundle!.Sequence);
        Write(_first.CertificatePem);
        source.Read();
        Assert.True(source.Current.Bundle!.Sequence > first + 1);
    }

    [Fact]
    public void A_restart_does_not_take_the_sequence_back()
    {
        Write(_first.CertificatePem);
        ulong before;
        using (var source = Open())
        {
            Write(_second.CertificatePem);
            source.Read();
            before = source.Current.Bundle!.Sequence!.Value;
        }

        using var again = Open();
        Assert.True(again.Current.Bundle!.Sequence >= before - 1);
        Assert.Equal([_second.Certificate], again.Current.Bundle!.X509Authorities);
    }

    [Fact]
    public void The_sequence_of_a_SPIFFE_bundle_counts_when_it_is_larger()
    {
        Write(new TrustBundle(Domain, [_first.Certificate], ulong.MaxValue - 5).ToJson());
        using var source = Open();
        Assert.Equal(ulong.MaxValue - 5, source.Current.Bundle!.Sequence);
    }

    [Fact]
    public async Task A_change_is_noticed_by_itself()
    {
        Write(_first.CertificatePem);
        using var source = new AnchorSource(Domain, AnchorsFile, TimeProvider.System, NullLogger.Instance, TimeSpan.FromHours(1));
        var changed = new TaskCompletionSource();
        source.Changed += s =>
        {
            if (s.Bundle!.X509Authorities.Contains(_second.Certificate)) changed.TrySetResult();
        };
        using var stop = new CancellationTokenSource();
        var run = source.RunAsync(stop.Token);
        Spiffe.Files.PrivateFile.WritePublic(AnchorsFile, _second.CertificatePem);
        await changed.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
    }

    private AnchorSource Open() => new(Domain, AnchorsFile, TimeProvider.System, NullLogger.Instance);

    private void Write(string content, DateTimeOffset? written = null)
    {
        _folder.Write("ca-bundle.crt", content);
        if (written is { } time) File.SetLastWriteTimeUtc(AnchorsFile, time.UtcDateTime);
    }
}
