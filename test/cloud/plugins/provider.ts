import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { fromStruct, nothing, plugin, provider, providerService, serve, toStruct, UNKNOWN } from './grpc.ts';
import { ID, KINDS, type Api, type Json, type Kind } from './kinds.ts';

/**
 * Stands in for the providers of DigitalOcean and Amazon, which are programs that cannot be had here: the engine talks to it
 * as to them, and it talks to the doubles of the APIs. What it does with inputs is written from their documentation.
 */

const TRIES = 5;
/** As the provider repeats what may be repeated: not a create whose answer was lost. */
async function request(url: string, init: RequestInit): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(url, init);
    const again = answer.status === 429 || (answer.status >= 500 && init.method === 'GET');
    if (!again || attempt === TRIES) return answer;
    await sleep(Number(answer.headers.get('retry-after') ?? 0.02) * 1000);
  }
}

function apiOf(config: Json): Api {
  const endpoint = (config.apiEndpoint as string | undefined) ?? process.env.DIGITALOCEAN_API_URL ?? '';
  const buckets = process.env.BUCKETS_URL ?? '';
  return {
    call: async (method, path, body) => {
      const answer = await request(`${endpoint}/v2/${path}`, {
        method,
        headers: { authorization: `Bearer ${config.token as string}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (answer.status === 404) return null;
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text === '' ? {} : (JSON.parse(text) as Json);
    },
    bucket: async (method, name) => (await fetch(`${buckets}/buckets/${name}`, { method })).status,
  };
}

let api: Api | null = null;
const connected = (): Api => {
  if (api === null) throw new Error('not configured');
  return api;
};
const typeOf = (urn: string): string => (urn.split('::')[2] ?? '').split('$').at(-1) ?? '';
const kindOf = (urn: string): Kind => {
  const kind = KINDS[typeOf(urn)];
  if (kind === undefined) throw new Error(`The double knows no ${typeOf(urn)}.`);
  return kind;
};

interface Changed {
  getUrn: () => string;
  getId: () => string;
  getPreview: () => boolean;
  getProperties: () => unknown;
  getOldInputs: () => unknown;
  getInputs: () => unknown;
  getOlds: () => unknown;
  getNews: () => unknown;
  getIgnorechangesList: () => string[];
}
const unknownKept = (inputs: Json): Json =>
  JSON.parse(JSON.stringify(inputs), (_key, value: unknown) => value ?? undefined) as Json;

/** Inputs that differ from the old ones, which are inputs too where the engine has them. */
function changed({ getOldInputs, getNews, getIgnorechangesList }: Changed): string[] {
  const [olds, news] = [fromStruct(getOldInputs()), fromStruct(getNews())];
  return [...new Set([...Object.keys(olds), ...Object.keys(news)])]
    .filter((key) => !key.startsWith('__') && !getIgnorechangesList().includes(key))
    .filter((key) => !isDeepStrictEqual(olds[key], news[key]));
}

await serve(providerService.ResourceProviderService, {
  handshake: async () => new provider.ProviderHandshakeResponse(),
  getPluginInfo: async () => {
    const info = new plugin.PluginInfo();
    info.setVersion(process.env.PLUGIN_VERSION ?? '0.0.1');
    return info as unknown;
  },
  checkConfig: async ({ request }) => checked(request as Changed),
  diffConfig: async () => new provider.DiffResponse(),
  configure: async ({ request }) => {
    const { getArgs } = bound(request as Changed & { getArgs: () => unknown });
    api = apiOf(fromStruct(getArgs()));
    const answer = new provider.ConfigureResponse();
    answer.setSupportspreview(true);
    return answer as unknown;
  },
  check: async ({ request }) => checked(request as Changed),
  diff: async ({ request }) => {
    const call = bound(request as Changed);
    const keys = changed(call);
    const replaces = keys.filter((key) => kindOf(call.getUrn()).replaces.includes(key));
    const answer = new provider.DiffResponse();
    answer.setChanges(keys.length > 0 ? 2 : 1);
    answer.setDiffsList(keys);
    answer.setReplacesList(replaces);
    return answer as unknown;
  },
  create: async ({ request }) => {
    const call = bound(request as Changed);
    const inputs = fromStruct(call.getProperties());
    const answer = new provider.CreateResponse();
    if (call.getPreview()) {
      answer.setProperties(toStruct({ ...inputs, ...foreseen(typeOf(call.getUrn())) }));
      return answer as unknown;
    }
    const { id, outputs } = await kindOf(call.getUrn()).create(connected(), unknownKept(inputs));
    answer.setId(id);
    answer.setProperties(toStruct({ ...inputs, ...outputs }));
    return answer as unknown;
  },
  read: async ({ request }) => {
    const call = bound(request as Changed);
    const state = fromStruct(call.getProperties());
    const inputs = fromStruct(call.getInputs());
    const read = await kindOf(call.getUrn()).read(connected(), call.getId(), state);
    const answer = new provider.ReadResponse();
    if (read === null) return answer as unknown;
    const { [ID]: id, ...found } = read;
    // What the account says now is what the inputs are compared with: drift shows.
    const known =
      Object.keys(inputs).length === 0
        ? Object.keys(found).filter((key) => !COMPUTED.includes(key))
        : Object.keys(inputs);
    const now = Object.fromEntries(known.map((key) => [key, key in found ? found[key] : inputs[key]]));
    answer.setId(id ?? call.getId());
    answer.setProperties(toStruct({ ...state, ...found }));
    answer.setInputs(toStruct(now));
    return answer as unknown;
  },
  update: async ({ request }) => {
    const call = bound(request as Changed);
    const news = fromStruct(call.getNews());
    const olds = fromStruct(call.getOlds());
    const answer = new provider.UpdateResponse();
    const update = kindOf(call.getUrn()).update;
    if (update === undefined) throw new Error(`${call.getUrn()} cannot be updated.`);
    const outputs = call.getPreview() ? {} : await update(connected(), call.getId(), unknownKept(news), olds);
    answer.setProperties(toStruct({ ...olds, ...news, ...outputs }));
    return answer as unknown;
  },
  delete: async ({ request }) => {
    const call = bound(request as Changed);
    await kindOf(call.getUrn()).delete(connected(), call.getId(), fromStruct(call.getProperties()));
    return nothing() as unknown;
  },
  cancel: async () => nothing() as unknown,
});

async function checked(request: Changed): Promise<unknown> {
  const answer = new provider.CheckResponse();
  answer.setInputs(toStruct(fromStruct(bound(request).getNews())));
  return answer as unknown;
}

/** Never an input: left out of what an import makes of the account. */
const COMPUTED =
  'vpcUrn dropletUrn ipv4Address status fingerprint accessKey secretKey domainUrn ipAddress reservedIpUrn bucketUrn'.split(
    ' ',
  );

/** Outputs that a preview cannot know. */
function foreseen(type: string): Json {
  const names: Record<string, string[]> = {
    Droplet: ['dropletUrn', 'ipv4Address'],
    ReservedIp: ['ipAddress', 'reservedIpUrn'],
    Domain: ['domainUrn'],
    SshKey: ['fingerprint'],
    SpacesKey: ['accessKey', 'secretKey'],
    SpacesBucket: ['bucketUrn'],
  };
  return Object.fromEntries((names[type.split(':').at(-1) ?? ''] ?? []).map((name) => [name, UNKNOWN]));
}

/** Methods of a message that can be taken out of it. */
function bound<T extends object>(message: T): T {
  return new Proxy(message, {
    get: (target, key) => {
      const value = Reflect.get(target, key) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
