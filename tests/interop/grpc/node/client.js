'use strict';
// Runs every check against the server at ADDRESS (host:port).
const assert = require('assert');
const { grpc, definition, protos } = require('./probe');

const address = process.argv[2];
const plain = grpc.credentials.createInsecure();
const options = { 'grpc.max_receive_message_length': -1 };
const Probe = protos.mesh.testing.v1.Probe;
const probe = new Probe(address, plain, options);
const { status } = grpc;

// One call with one reply; resolves with everything that came back.
function call(client, method, request, metadata, callOptions) {
  return new Promise((resolve) => {
    const result = { reply: null, error: null, headers: null, trailers: null };
    const call = client[method](request, metadata || new grpc.Metadata(), callOptions || {}, (error, reply) => {
      result.error = error;
      result.reply = reply;
    });
    call.on('metadata', (m) => { result.headers = m; });
    call.on('status', (s) => {
      result.trailers = s.metadata;
      setImmediate(() => resolve(result));
    });
    result.call = call;
  });
}

// Every message of a stream, then its status.
function drain(stream) {
  return new Promise((resolve) => {
    const messages = [];
    stream.on('data', (m) => messages.push(m));
    stream.on('error', () => {});
    stream.on('status', (s) => resolve({ messages, status: s }));
  });
}

const checks = {
  async unary() {
    const { reply, error } = await call(probe, 'Unary', { text: 'hello' });
    assert.ifError(error);
    assert.strictEqual(reply.text, 'hello');
  },

  async server_stream() {
    const { messages, status: s } = await drain(probe.ServerStream({ text: 'x', count: 500 }));
    assert.strictEqual(s.code, status.OK);
    assert.deepStrictEqual(messages.map((m) => m.index), Array.from({ length: 500 }, (_, i) => i));
  },

  async client_stream() {
    const reply = await new Promise((resolve, reject) => {
      const stream = probe.ClientStream((error, r) => (error ? reject(error) : resolve(r)));
      for (const text of ['a', 'b', 'c']) stream.write({ text });
      stream.end();
    });
    assert.strictEqual(reply.text, 'a,b,c');
  },

  async duplex() {
    const stream = probe.Duplex();
    const finished = drain(stream);
    for (let i = 0; i < 50; i++) {
      const answered = new Promise((resolve) => stream.once('data', resolve));
      stream.write({ text: `${i}` });
      assert.strictEqual((await answered).text, `${i}`);
    }
    stream.end();
    const { messages, status: s } = await finished;
    assert.strictEqual(s.code, status.OK);
    assert.strictEqual(messages.length, 50);
  },

  async deadline_exceeded() {
    const { error } = await call(probe, 'Unary', { hang: true }, null, { deadline: Date.now() + 300 });
    assert.strictEqual(error.code, status.DEADLINE_EXCEEDED);
  },

  async cancellation() {
    const error = await new Promise((resolve) => {
      const c = probe.Unary({ hang: true }, (e) => resolve(e));
      setTimeout(() => c.cancel(), 200);
    });
    assert.strictEqual(error.code, status.CANCELLED);
  },

  async trailers() {
    const metadata = new grpc.Metadata();
    metadata.set('echo-text', 'plain words');
    metadata.set('echo-data-bin', Buffer.from([0, 1, 254, 255]));
    metadata.set('want-header', 'early');
    const { error, headers, trailers } = await call(probe, 'Unary', {}, metadata);
    assert.ifError(error);
    assert.deepStrictEqual(headers.get('given-header'), ['early']);
    assert.deepStrictEqual(trailers.get('echo-text'), ['plain words']);
    assert.deepStrictEqual(trailers.get('echo-data-bin'), [Buffer.from([0, 1, 254, 255])]);
  },

  async error_status() {
    const { error } = await call(probe, 'Unary', { fail_with: 7, fail_message: 'nicht für dich: 100 %' });
    assert.strictEqual(error.code, status.PERMISSION_DENIED);
    assert.strictEqual(error.details, 'nicht für dich: 100 %');
    assert.deepStrictEqual(error.metadata.get('why'), ['because']);
  },

  async error_details() {
    const { error } = await call(probe, 'Unary', { fail_with_details: true });
    assert.strictEqual(error.code, status.FAILED_PRECONDITION);
    const [bytes] = error.metadata.get('grpc-status-details-bin');
    // proto-loader has no decoder of bare messages in its types; a method's deserialiser is one.
    const text = bytes.toString('latin1');
    assert.ok(text.includes('type.googleapis.com/google.rpc.ErrorInfo') && text.includes('NOT_READY'), text);
  },

  async crash_is_unknown() {
    const { error } = await call(probe, 'Unary', { crash: true });
    assert.strictEqual(error.code, status.UNKNOWN);
    assert.ok(!error.details.includes('inside story'));
  },

  async unimplemented() {
    assert.strictEqual((await call(probe, 'NotWritten', {})).error.code, status.UNIMPLEMENTED);
    const Other = grpc.makeGenericClientConstructor({
      Nothing: { ...Probe.service.Unary, path: '/no.such.Service/Nothing' },
    }, 'Other');
    assert.strictEqual((await call(new Other(address, plain), 'Nothing', {})).error.code, status.UNIMPLEMENTED);
  },

  async three_megabytes() {
    const payload = Buffer.alloc(3 << 20, 7);
    const { error, reply } = await call(probe, 'Unary', { payload });
    assert.ifError(error);
    assert.ok(payload.equals(reply.payload));
  },

  async gzip() {
    const packed = new Probe(address, plain, { 'grpc.default_compression_algorithm': 2 });
    const { error, reply } = await call(packed, 'Unary', { text: 'x'.repeat(200000) });
    assert.ifError(error);
    assert.strictEqual(reply.text.length, 200000);
    packed.close();
  },

  async deflate() {
    const packed = new Probe(address, plain, { 'grpc.default_compression_algorithm': 1 });
    const { error, reply } = await call(packed, 'Unary', { text: 'x'.repeat(200000) });
    assert.ifError(error);
    assert.strictEqual(reply.text.length, 200000);
    packed.close();
  },

  async too_large() {
    const { error } = await call(probe, 'Unary', { payload: Buffer.alloc(5 << 20) });
    assert.strictEqual(error.code, status.RESOURCE_EXHAUSTED);
  },

  async health() {
    const health = new protos.grpc.health.v1.Health(address, plain);
    assert.strictEqual((await call(health, 'Check', { service: 'mesh.testing.v1.Probe' })).reply.status, 'SERVING');
    assert.strictEqual((await call(health, 'Check', { service: 'nobody' })).error.code, status.NOT_FOUND);
    const watch = health.Watch({ service: 'mesh.testing.v1.Probe' });
    watch.on('error', () => {});
    assert.strictEqual((await new Promise((resolve) => watch.once('data', resolve))).status, 'SERVING');
    watch.cancel();
    health.close();
  },

  async reflection() {
    for (const name of ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection']) {
      const info = definition['grpc.reflection.v1.ServerReflection'].ServerReflectionInfo;
      const Reflection = grpc.makeGenericClientConstructor({ ServerReflectionInfo: { ...info, path: `/${name}/ServerReflectionInfo` } }, 'Reflection');
      const client = new Reflection(address, plain);
      const stream = client.ServerReflectionInfo();
      const finished = drain(stream);
      stream.write({ list_services: '*' });
      stream.write({ file_containing_symbol: 'mesh.testing.v1.Probe' });
      stream.end();
      const { messages: [list, file] } = await finished;
      assert.ok(list.list_services_response.service.some((s) => s.name === 'mesh.testing.v1.Probe'));
      assert.strictEqual(file.file_descriptor_response.file_descriptor_proto.length, 1);
      client.close();
    }
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(JSON.stringify({ name, ok: true }));
    } catch (error) {
      console.log(JSON.stringify({ name, ok: false, why: String(error.stack || error) }));
    }
  }
  probe.close();
  process.exit(0);
})();
