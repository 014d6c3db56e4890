"""Runs every check against the server at ADDRESS (host:port), with the message types of DESCRIPTORS."""
import json
import sys
import threading
import time
import traceback

import grpc

from probe import Messages

address, descriptors = sys.argv[1], sys.argv[2]
messages = Messages(descriptors)
Request, Reply = messages.Request, messages.Reply
channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
checks = []


def check(function):
    checks.append(function)
    return function


def method(name, kind="unary_unary", service="mesh.testing.v1.Probe", request=Request, reply=Reply, over=channel):
    return getattr(over, kind)(f"/{service}/{name}", request_serializer=request.SerializeToString, response_deserializer=reply.FromString)


unary = method("Unary")


def failure(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call did not fail")


@check
def test_unary():
    assert unary(Request(text="hello")).text == "hello"


@check
def test_server_stream():
    replies = list(method("ServerStream", "unary_stream")(Request(text="x", count=500)))
    assert [r.index for r in replies] == list(range(500))


@check
def test_client_stream():
    assert method("ClientStream", "stream_unary")(iter([Request(text=t) for t in "abc"])).text == "a,b,c"


@check
def test_duplex():
    # Each request is sent only after the reply to the one before.
    turn = threading.Semaphore(1)

    def requests():
        for i in range(50):
            turn.acquire()
            yield Request(text=str(i))

    texts = []
    for reply in method("Duplex", "stream_stream")(requests()):
        texts.append(reply.text)
        turn.release()
    assert texts == [str(i) for i in range(50)]


@check
def test_deadline_exceeded():
    assert failure(unary, Request(hang=True), timeout=0.3).code() == grpc.StatusCode.DEADLINE_EXCEEDED


@check
def test_cancellation():
    call = unary.future(Request(hang=True))
    time.sleep(0.2)
    call.cancel()
    try:
        call.result()
    except grpc.FutureCancelledError:
        return
    raise AssertionError("not cancelled")


@check
def test_trailers():
    call_metadata = (("echo-text", "plain words"), ("echo-data-bin", b"\x00\x01\xfe\xff"), ("want-header", "early"))
    reply, call = unary.with_call(Request(), metadata=call_metadata)
    assert dict(call.initial_metadata())["given-header"] == "early"
    trailers = dict(call.trailing_metadata())
    assert trailers["echo-text"] == "plain words"
    assert trailers["echo-data-bin"] == b"\x00\x01\xfe\xff"


@check
def test_error_status():
    error = failure(unary, Request(fail_with=7, fail_message="nicht für dich: 100 %"))
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert error.details() == "nicht für dich: 100 %"
    assert dict(error.trailing_metadata())["why"] == "because"


@check
def test_error_details():
    error = failure(unary, Request(fail_with_details=True))
    status = messages.type("google.rpc.Status").FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert (status.code, status.message) == (9, "with details")
    info = messages.type("google.rpc.ErrorInfo")()
    assert status.details[0].Unpack(info)
    assert info.reason == "NOT_READY"


@check
def test_crash_is_unknown():
    error = failure(unary, Request(crash=True))
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert "inside story" not in error.details()


@check
def test_unimplemented():
    assert failure(method("NotWritten"), Request()).code() == grpc.StatusCode.UNIMPLEMENTED
    assert failure(method("Nothing", service="no.such.Service"), Request()).code() == grpc.StatusCode.UNIMPLEMENTED


@check
def test_three_megabytes():
    payload = bytes(bytearray(i % 251 for i in range(3 << 20)))
    assert unary(Request(payload=payload)).payload == payload


@check
def test_gzip():
    assert len(unary(Request(text="x" * 200000), compression=grpc.Compression.Gzip).text) == 200000


@check
def test_deflate():
    assert len(unary(Request(text="x" * 200000), compression=grpc.Compression.Deflate).text) == 200000


@check
def test_too_large():
    assert failure(unary, Request(payload=bytes(5 << 20))).code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@check
def test_health():
    request, reply = messages.type("grpc.health.v1.HealthCheckRequest"), messages.type("grpc.health.v1.HealthCheckResponse")
    ask = method("Check", service="grpc.health.v1.Health", request=request, reply=reply)
    assert ask(request(service="mesh.testing.v1.Probe")).status == 1
    assert failure(ask, request(service="nobody")).code() == grpc.StatusCode.NOT_FOUND
    watch = method("Watch", "unary_stream", "grpc.health.v1.Health", request, reply)(request(service="mesh.testing.v1.Probe"))
    assert next(watch).status == 1
    watch.cancel()


@check
def test_reflection():
    request, reply = messages.type("grpc.reflection.v1.ServerReflectionRequest"), messages.type("grpc.reflection.v1.ServerReflectionResponse")
    for service in ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"):
        ask = method("ServerReflectionInfo", "stream_stream", service, request, reply)
        listed, file = ask(iter([request(list_services="*"), request(file_containing_symbol="mesh.testing.v1.Probe")]))
        assert "mesh.testing.v1.Probe" in [s.name for s in listed.list_services_response.service]
        assert len(file.file_descriptor_response.file_descriptor_proto) == 1


for function in checks:
    name = function.__name__[len("test_"):]
    try:
        function()
        print(json.dumps({"name": name, "ok": True}), flush=True)
    except Exception:  # every kind of failure is a result
        print(json.dumps({"name": name, "ok": False, "why": traceback.format_exc()}), flush=True)
channel.close()
