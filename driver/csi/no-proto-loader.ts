/**
 * Stands in the bundle for @grpc/proto-loader, which @grpc/grpc-js loads for two services of its own that
 * nobody starts here (channelz, ORCA): with it comes protobufjs, 300 KiB. Messages are read by wire.ts.
 */
export function loadSync(): never {
  throw new Error('the driver has no loader of .proto files')
}
