using System.Diagnostics;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests.Interop;

/// <summary>A gRPC implementation that is not ours: how to run its client and its server.</summary>
internal sealed class Stack
{
    public static readonly Stack Node = new("@grpc/grpc-js", "node", "node", ".js", FindNode());
    public static readonly Stack Python = new("python3-grpcio", "/usr/bin/python3", "python", ".py", FindPython());

    private readonly string _program;
    private readonly string _folder;
    private readonly string _suffix;

    private Stack(string name, string program, string folder, string suffix, string? missing)
    {
        (Name, _program, _suffix, Missing) = (name, program, suffix, missing);
        _folder = Path.Combine(Folder, folder);
    }

    public string Name { get; }

    /// <summary>What is not installed; null when nothing is missing.</summary>
    public string? Missing { get; }

    private static string Folder => Path.Combine(FindRoot(), "tests", "interop", "grpc");

    /// <summary>The message types of all that the stacks call, for those that read no .proto files.</summary>
    public static void WriteDescriptors(string path)
    {
        var set = new FileDescriptorSet();
        foreach (var file in new[] { AnyReflection.Descriptor, DurationReflection.Descriptor, StatusReflection.Descriptor, ErrorDetailsReflection.Descriptor, HealthReflection.Descriptor, ReflectionReflection.Descriptor, TestingReflection.Descriptor })
            set.File.Add(FileDescriptorProto.Parser.ParseFrom(file.SerializedData));
        File.WriteAllBytes(path, set.ToByteArray());
    }

    public Process Start(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo(_program) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder };
        start.ArgumentList.Add(Path.Combine(_folder, script + _suffix));
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        return Process.Start(start)!;
    }

    private static string? FindNode()
    {
        if (!Exists("node", "--version")) return "node is not installed";
        return Directory.Exists(Path.Combine(Folder, "node", "node_modules", "@grpc", "grpc-js")) ? null : "@grpc/grpc-js is not installed (tests/install-tools.sh installs it where npm works)";
    }

    private static string? FindPython() => Exists("/usr/bin/python3", "-c", "import grpc, google.protobuf") ? null : "python3-grpcio is not installed";

    private static bool Exists(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
            if (File.Exists(Path.Combine(directory.FullName, "Mesh.sln"))) return directory.FullName;
        throw new InvalidOperationException("No Mesh.sln above " + AppContext.BaseDirectory);
    }
}
