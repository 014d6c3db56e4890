using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Reflection.V1;
using Mesh.Grpc.Server;

namespace Mesh.Grpc.Reflection;

/// <summary>Server reflection: tells tools such as grpcurl which services there are and what their messages look like.</summary>
internal sealed class ReflectionService(ServiceCatalog catalog) : ServerReflection.ServerReflectionBase
{
    private const string AlphaService = "grpc.reflection.v1alpha.ServerReflection";

    private SymbolIndex? _index;

    /// <summary>The same service under the name that older tools ask for.</summary>
    public ServerServiceDefinition AlphaDefinition() => ServerServiceDefinition.CreateBuilder()
        .AddMethod(
            new Method<ServerReflectionRequest, ServerReflectionResponse>(
                MethodType.DuplexStreaming,
                AlphaService,
                "ServerReflectionInfo",
                MessageMarshaller.For(ServerReflectionRequest.Parser),
                MessageMarshaller.For(ServerReflectionResponse.Parser)),
            ServerReflectionInfo)
        .Build();

    public override async Task ServerReflectionInfo(IAsyncStreamReader<ServerReflectionRequest> requestStream, IServerStreamWriter<ServerReflectionResponse> responseStream, ServerCallContext context)
    {
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            var response = Answer(requestStream.Current);
            response.ValidHost = requestStream.Current.Host;
            response.OriginalRequest = requestStream.Current;
            await responseStream.WriteAsync(response, context.CancellationToken);
        }
    }

    private ServerReflectionResponse Answer(ServerReflectionRequest request)
    {
        var index = Index();
        switch (request.MessageRequestCase)
        {
            case ServerReflectionRequest.MessageRequestOneofCase.ListServices:
                var list = new ListServiceResponse();
                foreach (var service in catalog.Services) list.Service.Add(new ServiceResponse { Name = service.FullName });
                return new ServerReflectionResponse { ListServicesResponse = list };
            case ServerReflectionRequest.MessageRequestOneofCase.FileByFilename:
                return Files(index.FindFile(request.FileByFilename));
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol:
                return Files(index.FindSymbol(request.FileContainingSymbol));
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType:
                // proto3 messages have no extensions.
                return index.FindSymbol(request.AllExtensionNumbersOfType) is null
                    ? NotFound()
                    : new ServerReflectionResponse { AllExtensionNumbersResponse = new ExtensionNumberResponse { BaseTypeName = request.AllExtensionNumbersOfType } };
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingExtension:
                return NotFound();
            default:
                return Error(StatusCode.InvalidArgument, "The request asks for nothing.");
        }
    }

    private SymbolIndex Index()
    {
        var services = catalog.Services;
        var index = _index;
        if (index is null || index.Services != services) _index = index = new SymbolIndex(services);
        return index;
    }

    private static ServerReflectionResponse Files(FileDescriptor? file)
    {
        if (file is null) return NotFound();
        var response = new FileDescriptorResponse();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        Add(file);
        return new ServerReflectionResponse { FileDescriptorResponse = response };

        void Add(FileDescriptor descriptor)
        {
            if (!seen.Add(descriptor.Name)) return;
            response.FileDescriptorProto.Add(descriptor.SerializedData);
            foreach (var dependency in descriptor.Dependencies) Add(dependency);
        }
    }

    private static ServerReflectionResponse NotFound() => Error(StatusCode.NotFound, "There is no such symbol, file or extension.");

    private static ServerReflectionResponse Error(StatusCode code, string message) =>
        new() { ErrorResponse = new ErrorResponse { ErrorCode = (int)code, ErrorMessage = message } };
}
