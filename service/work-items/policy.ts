import { CONTROL_PLANE, DEFAULT_AUTHORITIES } from './drift.ts';
import { policyValues } from './policy-values.ts';
import type { Place, PolicyValues } from './policy-values.ts';
import { lineAt, MAX_FRONT_MATTER } from './record-text.ts';
import { ACTION_IDENTITIES, GATE_IDENTITIES, TRUST } from './types.ts';
import type { GatePack, Policy, QueueProblem } from './types.ts';
import { readYaml, reporter } from './yaml-nodes.ts';

export type Packs = Readonly<Record<string, GatePack>>;

const KEYS = [
  'gatePack',
  'preset',
  'limits',
  'freshness',
  'authorities',
  'soloWait',
  'freezes',
  'hard',
  'packs',
];
const SOURCES = ['queue', 'prompt', 'pull request', 'checks', 'lease'] as const;
/** Fields of the record by which it shows the item's lane and what is done about it. */
const LANE_FIELDS = ['status', 'collection', 'record', 'handoff'];
const AUTHORITIES = [...new Set(Object.values(DEFAULT_AUTHORITIES))];
/** The pack that an unreadable choice falls back to: a mistake must not open gates. */
const STRICTEST = 'strict';

/** The policy of a project that says nothing. Freshness: queue files 60 s, pull request and checks 120 s, lease 5 s. */
export function defaultPolicy(builtIn: Packs): Policy {
  return {
    gatePack: 'baseline',
    packs: { ...builtIn },
    preset: null,
    limits: { handoffs: 3, attempts: 3 },
    freshness: { queue: 60, prompt: 60, 'pull request': 120, checks: 120, lease: 5 },
    authorities: {},
    soloWaitSeconds: 300,
    freezes: [],
    hard: [],
  };
}

/**
 * Reads `policy.yaml`; null where the project has none. Every problem comes at once, with its line.
 * The policy is whole in any case: what is absent or wrong has its default, but a gate pack that cannot be understood
 * (or may hide behind an unknown name) becomes `strict`, and a freeze or hard gate beside a wrong one still holds. `packs` holds the built-in ones too.
 */
export function parsePolicy(
  text: string | null,
  builtIn: Packs,
): { policy: Policy; problems: QueueProblem[] } {
  const problems: QueueProblem[] = [];
  const policy = defaultPolicy(builtIn);
  if (text === null) return { policy, problems };
  const report = reporter('policy.yaml', null, problems);
  const closed = { ...policy, gatePack: STRICTEST in builtIn ? STRICTEST : policy.gatePack };
  const nul = text.indexOf('\0');
  if (nul >= 0 || text.length > MAX_FRONT_MATTER) {
    const message =
      nul >= 0 ? 'The policy holds a NUL byte.' : `The policy is longer than ${MAX_FRONT_MATTER} characters.`;
    report(nul >= 0 ? lineAt(text, nul) : 1, 'policy-unreadable', message, 'Write a plain, short YAML file.');
    return { policy: closed, problems };
  }
  const yaml = readYaml(text.replace(/^\uFEFF/, ''), 1, report);
  if (problems.length > 0) return { policy: closed, problems };
  const values = policyValues(yaml, report);
  const root = { path: '', node: yaml.document?.contents ?? null, line: 1 };
  const places = values.section(root, KEYS);
  const at = (key: string): Place => places.get(key) ?? { path: key, node: null, line: 1 };
  const given = <T>(key: string, read: (place: Place) => T | null): T | null =>
    places.has(key) ? read(at(key)) : null;

  const packs = { ...builtIn, ...ownPacks(at('packs'), values, builtIn) };
  const chosen = given('gatePack', (place) => values.oneOf(place, Object.keys(packs)));
  return {
    policy: {
      gatePack: chosen ?? (places.has('gatePack') || problems.length > 0 ? closed.gatePack : policy.gatePack),
      packs,
      preset: given('preset', (place) => values.oneOf(place, ['solo', 'team'] as const)),
      limits: { ...policy.limits, ...limits(at('limits'), values) },
      freshness: { ...policy.freshness, ...freshness(at('freshness'), values) },
      authorities: authorities(at('authorities'), values),
      soloWaitSeconds: given('soloWait', values.duration) ?? policy.soloWaitSeconds,
      freezes: freezes(at('freezes'), values),
      hard: values.names(at('hard'), GATE_IDENTITIES),
    },
    problems: problems.sort((a, b) => a.line - b.line),
  };
}

function limits(place: Place, values: PolicyValues): Partial<Policy['limits']> {
  const places = values.section(place, ['handoffs', 'attempts']);
  return fromEntries([...places].map(([name, at]) => [name, values.whole(at, 1, 1000)]));
}

function freshness(place: Place, values: PolicyValues): Partial<Policy['freshness']> {
  const places = values.section(place, SOURCES);
  return fromEntries([...places].map(([name, at]) => [name, values.duration(at)]));
}

function authorities(place: Place, values: PolicyValues): Record<string, string> {
  const places = values.section(place, Object.keys(DEFAULT_AUTHORITIES));
  return fromEntries([...places].map(([name, at]) => [name, authority(name, at, values)]));
}

/** Lanes change by actions alone, so for what mirrors the lane no other authority could be kept. */
function authority(name: string, place: Place, values: PolicyValues): string | null {
  const chosen = values.oneOf(place, AUTHORITIES);
  if (chosen === null || chosen === CONTROL_PLANE || !LANE_FIELDS.includes(name)) return chosen;
  const hint = 'Leave it out. Move the item by its actions; Reconcile makes the record say so.';
  return values.wrong(place, `${CONTROL_PLANE}, because lanes change only by actions`, hint);
}

function fromEntries<T>(entries: [string, T | null][]): Record<string, T> {
  return Object.fromEntries(entries.filter((entry): entry is [string, T] => entry[1] !== null));
}

function freezes(place: Place, values: PolicyValues): Policy['freezes'] {
  return values.list(place).flatMap((entry) => {
    const places = values.section(entry, ['name', 'from', 'until']);
    const at = (key: string): Place =>
      places.get(key) ?? { ...entry, path: `${entry.path}.${key}`, node: null };
    const [name, from, until] = [values.text(at('name')), values.time(at('from')), values.time(at('until'))];
    if (name === null || from === null || until === null) return [];
    if (from < until) return [{ name, from, until }];
    values.wrong(at('until'), 'later than `from`', 'Write the day or time at which the freeze ends.');
    return [];
  });
}

/** Packs of the project's own. A pack may extend another one that is built in: the actions it names are replaced. */
function ownPacks(place: Place, values: PolicyValues, builtIn: Packs): Record<string, GatePack> {
  const packs: Record<string, GatePack> = {};
  for (const [name, at] of values.below(place)) {
    if (Object.hasOwn(builtIn, name) || !/^[a-z][a-z0-9-]{0,49}$/.test(name)) {
      values.wrong(at, 'a name of its own in small letters, digits and dashes', 'Choose e.g. `careful`.');
    } else {
      packs[name] = ownPack(name, at, values, builtIn);
    }
  }
  return packs;
}

function ownPack(name: string, place: Place, values: PolicyValues, builtIn: Packs): GatePack {
  const places = values.section(place, ['extends', 'validationTrust', 'actions']);
  const parent = places.get('extends');
  const base = parent ? builtIn[values.oneOf(parent, Object.keys(builtIn)) ?? STRICTEST] : undefined;
  const trust = places.get('validationTrust');
  const own = ownActions(places.get('actions') ?? { ...place, node: null }, values);
  const validationTrust = trust ? values.names(trust, TRUST) : base?.validationTrust;
  return { name, ...(validationTrust ? { validationTrust } : {}), actions: { ...base?.actions, ...own } };
}

function ownActions(place: Place, values: PolicyValues): GatePack['actions'] {
  const actions: GatePack['actions'] = {};
  for (const [identity, at] of values.section(place, ACTION_IDENTITIES)) {
    const modes = values.section(at, ['block', 'warn']);
    const gates = (mode: 'block' | 'warn') => {
      const names = modes.get(mode);
      return names ? values.names(names, GATE_IDENTITIES).map((gate) => ({ gate, mode })) : [];
    };
    const blocking = gates('block');
    const warning = gates('warn').filter(({ gate }) => !blocking.some((one) => one.gate === gate));
    actions[identity as keyof GatePack['actions']] = [...blocking, ...warning];
  }
  return actions;
}
