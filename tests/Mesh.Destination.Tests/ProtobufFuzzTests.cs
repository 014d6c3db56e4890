using Google.Protobuf;
using Mesh.Destination.Services;
using Mesh.Protocol.Destination;
using Mesh.Testing;

namespace Mesh.Destination.Tests;

/// <summary>Fuzz target "protobuf" of the destination service: the one message a proxy sends it.</summary>
public sealed class ProtobufFuzzTests
{
    [Fact]
    public void Questions_survive_fuzzing()
    {
        foreach (var path in (string[])["web.demo.svc.cluster.local:80", "10.0.0.7:8080", "[fd00::1]:8080"])
        {
            var real = new GetDestination { Scheme = "k8s", Path = path, ContextToken = "{}" }.ToByteArray();
            foreach (var input in Mutations.Of(real, 3_000))
            {
                GetDestination question;
                try
                {
                    question = GetDestination.Parser.ParseFrom(input);
                }
                catch (InvalidProtocolBufferException)
                {
                    continue;
                }

                if (Authority.TryParse(question.Path, out var authority)) Assert.True(Authority.TryParse(authority.ToString(), out var again) && again.Equals(authority), question.Path);
            }
        }
    }
}
