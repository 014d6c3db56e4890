'use strict';
// What client and server share: the loaded protos.
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const root = path.resolve(__dirname, '../../../..');
const definition = loader.loadSync(['testing.proto', 'health.proto', 'reflection.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto'], {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
  includeDirs: [path.join(root, 'tests/Mesh.Grpc.Tests/Protos'), path.join(root, 'platform/Mesh.Grpc/Protos')],
});

module.exports = { grpc, definition, protos: grpc.loadPackageDefinition(definition) };
