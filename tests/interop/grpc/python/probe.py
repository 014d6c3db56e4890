"""Message types made at run time from a FileDescriptorSet: nothing is generated."""
from google.protobuf import descriptor_pb2, descriptor_pool

try:
    from google.protobuf.message_factory import GetMessageClass
except ImportError:  # before protobuf 4.22
    from google.protobuf import message_factory

    GetMessageClass = message_factory.MessageFactory().GetPrototype


class Messages:
    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as f:
            files.ParseFromString(f.read())
        self._pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self._pool.Add(file)

    def __getattr__(self, name):
        full = {"Request": "mesh.testing.v1.ProbeRequest", "Reply": "mesh.testing.v1.ProbeReply"}.get(name)
        if full is None:
            raise AttributeError(name)
        return self.type(full)

    def type(self, full):
        return GetMessageClass(self._pool.FindMessageTypeByName(full))
