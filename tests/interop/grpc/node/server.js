'use strict';
// The probe service on grpc-js, for our client.
const { grpc, protos } = require('./probe');

const hex = (text) => Buffer.from(text, 'hex');
// google.rpc.Status { code: 9, message: "with details", details: [ErrorInfo { reason: "NOT_READY", domain: "mesh" }] }
const info = Buffer.concat([hex('0a09'), Buffer.from('NOT_READY'), hex('1204'), Buffer.from('mesh')]);
const type = Buffer.from('type.googleapis.com/google.rpc.ErrorInfo');
const any = Buffer.concat([hex('0a'), Buffer.from([type.length]), type, hex('12'), Buffer.from([info.length]), info]);
const details = Buffer.concat([hex('0809'), hex('120c'), Buffer.from('with details'), hex('1a'), Buffer.from([any.length]), any]);

const reply = (request, index) => ({
  text: request.text,
  payload: request.reply_size > 0 ? Buffer.alloc(request.reply_size) : request.payload,
  index,
});

function failure(request) {
  if (request.fail_with_details) {
    const metadata = new grpc.Metadata();
    metadata.set('grpc-status-details-bin', details);
    return { code: 9, details: 'with details', metadata };
  }
  if (request.fail_with === 0) return null;
  const metadata = new grpc.Metadata();
  metadata.set('why', 'because');
  return { code: request.fail_with, details: request.fail_message, metadata };
}

const service = {
  Unary(call, callback) {
    const wanted = call.metadata.get('want-header');
    if (wanted.length > 0) {
      const headers = new grpc.Metadata();
      headers.set('given-header', wanted[0]);
      call.sendMetadata(headers);
    }
    const trailers = new grpc.Metadata();
    for (const [key] of Object.entries(call.metadata.getMap())) {
      if (key.startsWith('echo-')) for (const value of call.metadata.get(key)) trailers.add(key, value);
    }
    if (call.request.hang) {
      call.on('cancelled', () => console.log('CANCELLED'));
      return;
    }
    const failed = failure(call.request);
    if (failed) callback(failed);
    else callback(null, reply(call.request, 0), trailers);
  },

  ServerStream(call) {
    for (let i = 0; i < call.request.count; i++) call.write(reply(call.request, i));
    const failed = failure(call.request);
    if (failed) call.emit('error', failed);
    else call.end();
  },

  ClientStream(call, callback) {
    const texts = [];
    let failed = null;
    call.on('data', (request) => {
      failed = failed || failure(request);
      texts.push(request.text);
    });
    call.on('end', () => (failed ? callback(failed) : callback(null, { text: texts.join(','), index: texts.length })));
  },

  Duplex(call) {
    let index = 0;
    call.on('data', (request) => call.write(reply(request, index++)));
    call.on('end', () => call.end());
    call.on('cancelled', () => console.log('CANCELLED'));
  },
};

const server = new grpc.Server({ 'grpc.default_compression_algorithm': 2 });
server.addService(protos.mesh.testing.v1.Probe.service, service);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`LISTENING ${port}`);
});
