namespace Mesh.IntegrationTests.Interop;

/// <summary>The published proxy inside the trixie root, copied there by the first test that wants it.</summary>
public sealed class TrixieProxy : IDisposable
{
    private readonly SemaphoreSlim _one = new(1);
    private TrixieRoom? _room;
    private string? _program;

    /// <summary>The path of the executable, as this machine knows it.</summary>
    public async Task<string> ProgramAsync(PublishedProxy published)
    {
        await _one.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            _room ??= new TrixieRoom();
            return _program ??= await published.CopyToAsync(_room.File("proxy"));
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose()
    {
        _one.Dispose();
        _room?.Dispose();
    }
}
