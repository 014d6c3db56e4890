using System.Collections.Immutable;
using Google.Protobuf.Reflection;

namespace Mesh.Grpc.Reflection;

/// <summary>Every file that the mapped services need, and which file declares which symbol.</summary>
internal sealed class SymbolIndex
{
    private readonly Dictionary<string, FileDescriptor> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FileDescriptor> _symbols = new(StringComparer.Ordinal);

    public SymbolIndex(ImmutableArray<ServiceDescriptor> services)
    {
        Services = services;
        foreach (var service in services) AddFile(service.File);
    }

    public ImmutableArray<ServiceDescriptor> Services { get; }

    public FileDescriptor? FindFile(string name) => _files.GetValueOrDefault(name);

    /// <summary>The file of a service, method, message, field, enum or enum value, by its full name.</summary>
    public FileDescriptor? FindSymbol(string fullName) => _symbols.GetValueOrDefault(fullName);

    private void AddFile(FileDescriptor file)
    {
        if (!_files.TryAdd(file.Name, file)) return;
        foreach (var dependency in file.Dependencies) AddFile(dependency);
        foreach (var message in file.MessageTypes) AddMessage(message);
        foreach (var type in file.EnumTypes) AddEnum(type);
        foreach (var service in file.Services)
        {
            _symbols.TryAdd(service.FullName, file);
            foreach (var method in service.Methods) _symbols.TryAdd(method.FullName, file);
        }
    }

    private void AddMessage(MessageDescriptor message)
    {
        _symbols.TryAdd(message.FullName, message.File);
        foreach (var field in message.Fields.InDeclarationOrder()) _symbols.TryAdd(field.FullName, message.File);
        foreach (var nested in message.NestedTypes) AddMessage(nested);
        foreach (var type in message.EnumTypes) AddEnum(type);
    }

    private void AddEnum(EnumDescriptor type)
    {
        _symbols.TryAdd(type.FullName, type.File);
        foreach (var value in type.Values) _symbols.TryAdd(value.FullName, type.File);
    }
}
