import { createRequire } from 'node:module';

/** The parts of Pulumi's protocol that come with its SDK and are not typed for the outside. */
const require = createRequire(import.meta.url);

type Any = any;

export const grpc = createRequire(require.resolve('@pulumi/pulumi'))('@grpc/grpc-js') as Any;
export const language = require('@pulumi/pulumi/proto/language_pb.js') as Any;
export const languageService = require('@pulumi/pulumi/proto/language_grpc_pb.js') as Any;
export const provider = require('@pulumi/pulumi/proto/provider_pb.js') as Any;
export const providerService = require('@pulumi/pulumi/proto/provider_grpc_pb.js') as Any;
export const plugin = require('@pulumi/pulumi/proto/plugin_pb.js') as Any;
const struct = createRequire(require.resolve('@pulumi/pulumi'))(
  'google-protobuf/google/protobuf/struct_pb.js',
) as Any;
const empty = createRequire(require.resolve('@pulumi/pulumi'))(
  'google-protobuf/google/protobuf/empty_pb.js',
) as Any;

export const nothing = (): Any => new empty.Empty();
export const toStruct = (value: object): Any =>
  struct.Struct.fromJavaScript(JSON.parse(JSON.stringify(value)));
export const fromStruct = (value: Any): Record<string, unknown> =>
  value === undefined ? {} : (opened(value.toJavaScript()) as Record<string, unknown>);

/** What marks a secret, and a value that is not known yet, in what the engine sends. */
const SIGNATURE = '4dabf18193072939515e22adb298388d';
const SECRET = '1b47061264138c4ac30d75fd1eb44270';
export const UNKNOWN = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';

/** Secrets arrive in envelopes. */
function opened(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(opened);
  if (typeof value !== 'object' || value === null) return value;
  const inner = value as Record<string, unknown>;
  if (inner[SIGNATURE] === SECRET) return opened(inner.value);
  return Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, opened(one)]));
}

type Method = (call: { request: Any }) => Promise<Any>;

/** Serves methods on a free port of the loopback address, and tells the engine which, as every plugin does. */
export async function serve(
  service: Any,
  methods: Record<string, Method>,
  streams: Record<string, (call: Any) => void> = {},
): Promise<void> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 400 * 1024 * 1024 });
  const unary = Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [
      name,
      (call: { request: Any }, callback: (error: unknown, answer?: unknown) => void) => {
        method(call).then(
          (answer) => callback(null, answer),
          (error: Error) => callback({ code: grpc.status.UNKNOWN, message: error.message }),
        );
      },
    ]),
  );
  server.addService(service, { ...unary, ...streams });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      '127.0.0.1:0',
      grpc.ServerCredentials.createInsecure(),
      (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error)),
    );
  });
  process.stdout.write(`${port}\n`);
}
