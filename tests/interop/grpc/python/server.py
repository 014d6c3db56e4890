"""The probe service on grpcio, for our client. Message types from DESCRIPTORS."""
import sys
from concurrent import futures

import grpc

from probe import Messages

messages = Messages(sys.argv[1])
Request, Reply = messages.Request, messages.Reply


def reply(request, index):
    return Reply(text=request.text, index=index, payload=bytes(request.reply_size) if request.reply_size else request.payload)


def act(request, context):
    if request.fail_with_details:
        status = messages.type("google.rpc.Status")(code=9, message="with details")
        status.details.add().Pack(messages.type("google.rpc.ErrorInfo")(reason="NOT_READY", domain="mesh"))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "with details")
    if request.hang:
        gone = futures.Future()
        context.add_callback(lambda: gone.set_result(None))
        gone.result()
        print("CANCELLED", flush=True)
    if request.fail_with:
        code = next(c for c in grpc.StatusCode if c.value[0] == request.fail_with)
        context.set_trailing_metadata((("why", "because"),))
        context.abort(code, request.fail_message)


def unary(request, context):
    metadata = context.invocation_metadata()
    wanted = [v for k, v in metadata if k == "want-header"]
    if wanted:
        context.send_initial_metadata((("given-header", wanted[0]),))
    context.set_trailing_metadata([(k, v) for k, v in metadata if k.startswith("echo-")])
    act(request, context)
    return reply(request, 0)


def server_stream(request, context):
    for i in range(request.count):
        yield reply(request, i)
    act(request, context)


def client_stream(requests, context):
    texts = []
    for request in requests:
        act(request, context)
        texts.append(request.text)
    return Reply(text=",".join(texts), index=len(texts))


def duplex(requests, context):
    context.add_callback(lambda: print("CANCELLED", flush=True))
    for index, request in enumerate(requests):
        yield reply(request, index)


codec = {"request_deserializer": Request.FromString, "response_serializer": Reply.SerializeToString}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), compression=grpc.Compression.Gzip)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("mesh.testing.v1.Probe", {
    "Unary": grpc.unary_unary_rpc_method_handler(unary, **codec),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream, **codec),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream, **codec),
    "Duplex": grpc.stream_stream_rpc_method_handler(duplex, **codec),
}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"LISTENING {port}", flush=True)
server.wait_for_termination()
