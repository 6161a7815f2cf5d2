import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as pulumi from '@pulumi/pulumi';
import * as runtime from '@pulumi/pulumi/runtime/index.js';
import { parse, stringify } from 'yaml';
import { parseConfig } from '../../infra/config.ts';
import { rawConfig } from '../../infra/load-config.ts';
import { program } from '../../infra/program.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A resource as the program asks for it. */
export interface Planned {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  protect: boolean;
  ignoreChanges: string[];
  secretOutputs: string[];
  hooks: string[];
}
export interface Plan {
  resources: Planned[];
  outputs: Record<string, unknown>;
  /** Outputs that are marked secret. */
  secrets: string[];
}

/** The values of a stack's file as it is committed. */
export function stackFile(stack: string): Record<string, unknown> {
  const text = readFileSync(`${root}/Pulumi.${stack}.yaml`, 'utf8');
  return (parse(text) as { config: Record<string, unknown> }).config;
}

/** Of a request to register a resource; the types of the protocol are not published. */
interface Request {
  getType: () => string;
  getName: () => string;
  getProtect: () => boolean;
  getIgnorechangesList: () => string[];
  getAdditionalsecretoutputsList: () => string[];
  getHooks: () => { getBeforeCreateList: () => string[] } | undefined;
}
interface Monitor {
  registerResource: (request: Request, callback: unknown) => unknown;
  registerResourceHook: (request: unknown, callback: (error: null, answer: object) => void) => void;
}

/** What a provider would add: ids, addresses and secrets that say which resource they come from. */
function computed(type: string, name: string): Record<string, unknown> {
  const last = type.split(':').at(-1) ?? '';
  const made: Record<string, Record<string, unknown>> = {
    Droplet: { dropletUrn: 'do:droplet:7001' },
    ReservedIp: { ipAddress: '198.51.100.4', reservedIpUrn: 'do:reservedip:198.51.100.4' },
    Domain: { domainUrn: 'do:domain:example.org' },
    SshKey: { fingerprint: `fingerprint of ${name}` },
    SpacesBucket: { bucketUrn: `do:space:${name}` },
    SpacesKey: { accessKey: `id of ${name}`, secretKey: `secret of ${name}` },
    AccessKey: { secret: `secret of ${name}` },
    Resource: { applicationKeyId: `id of ${name}`, applicationKey: `secret of ${name}` },
    StackReference: { outputs: { address: '198.51.100.4' } },
  };
  return made[last] ?? {};
}

/** Secrets are in an envelope of the protocol. */
const SECRET = '[secret]';
const SIGNATURE = '4dabf18193072939515e22adb298388d';
function revealed(value: unknown, key = ''): unknown {
  if (key === '__provider') return '[the code of the provider]';
  if (key === 'userData') return '[cloud-init]';
  if (Array.isArray(value)) return value.map((one) => revealed(one));
  if (typeof value !== 'object' || value === null) return value;
  if (SIGNATURE in value) return SECRET;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revealed(inner, name)]));
}

/** Runs the real program with Pulumi's mocks, on the stack's file with some keys replaced, and what else a program might ask for. */
export async function plan(
  stack: string,
  changes: Record<string, unknown> = {},
  also: () => void = () => undefined,
): Promise<Plan> {
  const asked = new Map<string, Planned>();
  const keyOf = (type: string, name: string): string => `${type} ${name}`;
  await runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        const known = asked.get(keyOf(type, name));
        if (known !== undefined) known.inputs = inputs as Record<string, unknown>;
        const id = type.endsWith(':Droplet') ? '7001' : `id-${name}`;
        return { id, state: { ...(inputs as object), ...computed(type, name) } };
      },
      call: ({ inputs }) => inputs as Record<string, unknown>,
    },
    'build-factory',
    stack,
    true,
    'organization',
  );
  const monitor = runtime.getMonitor() as unknown as Monitor;
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) => {
    asked.set(keyOf(request.getType(), request.getName()), {
      type: request.getType(),
      name: request.getName(),
      inputs: {},
      protect: request.getProtect(),
      ignoreChanges: request.getIgnorechangesList(),
      secretOutputs: request.getAdditionalsecretoutputsList(),
      hooks: request.getHooks()?.getBeforeCreateList() ?? [],
    });
    return register(request, callback);
  };
  // Pulumi's own mocks have no answer to this.
  monitor.registerResourceHook = (_request, callback) => callback(null, {});
  const values = Object.entries({
    ...stackFile(stack),
    ...changes,
    'build-factory:b2KeyId': 'account-key-id',
    'build-factory:b2Key': 'account-key',
    'build-factory:awsAccessKeyId': 'account-key-id',
    'build-factory:awsSecretAccessKey': 'account-key',
  }).map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : String(value)]);
  runtime.setAllConfig(Object.fromEntries(values) as Record<string, string>, [
    'build-factory:b2KeyId',
    'build-factory:b2Key',
    'build-factory:awsAccessKeyId',
    'build-factory:awsSecretAccessKey',
  ]);
  let made: Record<string, unknown> = {};
  let failure: unknown = null;
  await runtime.runInPulumiStack(async () => {
    // Thrown in there it would end the process.
    try {
      made = program(parseConfig(stack, rawConfig()));
      also();
    } catch (error) {
      failure = error;
    }
    return made;
  });
  if (failure !== null) {
    // What was asked for before is still under way.
    await runtime.disconnect();
    throw failure as Error;
  }
  const inner = await Promise.all(
    Object.entries(made).map(async ([name, value]) => {
      const output = pulumi.output(value);
      return [name, await valueOf(output), await pulumi.isSecret(output)] as const;
    }),
  );
  await runtime.disconnect();
  const text = [...asked.values()].map((one) => ({
    ...one,
    inputs: revealed(one.inputs) as Planned['inputs'],
  }));
  return {
    resources: text.sort((a, b) => keyOf(a.type, a.name).localeCompare(keyOf(b.type, b.name))),
    outputs: Object.fromEntries(inner.map(([name, value]) => [name, value])),
    secrets: inner.filter(([, , secret]) => secret).map(([name]) => name),
  };
}

/** Resolves when the value is known. */
const valueOf = (value: unknown): Promise<unknown> =>
  new Promise((resolve) => {
    (pulumi.output(value) as pulumi.Output<unknown>).apply((known) => {
      resolve(known);
    });
  });

/** A plan as it is committed: what is empty is left out. */
export function planText({ resources, outputs, secrets }: Plan): string {
  const short = (value: object): object =>
    Object.fromEntries(
      Object.entries(value).filter(([, one]) => one !== false && !(Array.isArray(one) && one.length === 0)),
    );
  const shown = Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [name, secrets.includes(name) ? SECRET : value]),
  );
  return stringify(
    { resources: resources.map(short), outputs: shown },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}
