import type { PolicyDocument, PolicyParts } from '../../chat/policies.ts';
import { DEFAULT_CLASS, type Kind } from '../../chat/policy.ts';
import { absolute, plural, size } from './format.ts';
import type { QUOTAS, Sort } from './policy-form.ts';

/** Policies and what changes of them, in words. Pure. */

export const KIND_NAMES: Record<Kind, string> = {
  message: 'Messages',
  toolOutput: 'Tool output',
  attachment: 'Attachments',
  export: 'Exports',
};

export const SORT_NAMES: Record<Sort, string> = {
  secrets: 'Secrets',
  personal: 'Personal data',
  nationalIds: 'National ids',
};

export const QUOTA_NAMES: Record<(typeof QUOTAS)[number], string> = {
  messagesPerSubjectAndDay: 'Messages about one subject a day',
  bytesPerSubjectAndDay: 'Bytes about one subject a day',
  messagesPerSession: 'Messages of one session',
  bytesPerSession: 'Bytes of one session',
};

export const VERDICT_NAMES: Record<string, string> = {
  allow: 'let in',
  redact: 'taken out',
  quarantine: 'held back until people decide',
  block: 'refused',
};

export interface Difference {
  what: string;
  before: string;
  after: string;
  /** Whether it is about how long something is kept. */
  retention: boolean;
}

/** What changes from one document to another. A class without a policy of its own counts as the general one. */
export function differences(before: Waiting, after: Waiting): Difference[] {
  const names = [...new Set([...Object.keys(before.classes), ...Object.keys(after.classes)])].sort();
  return [
    ...leafDifferences(before.general, after.general, ''),
    ...goingOff(before, after),
    ...names.flatMap((name) => [
      ...ownPolicy(name, before, after),
      ...leafDifferences(classIn(before, name), classIn(after, name), `Class ${name}, `),
    ]),
  ];
}

type Waiting = PolicyParts & Partial<Pick<PolicyDocument, 'pending'>>;

/** That break-glass goes off was asked for or taken back; that it is off says itself. */
function goingOff({ pending: was = null }: Waiting, { pending = null, general }: Waiting): Difference[] {
  if ((was === null) === (pending === null) || !general.breakGlass) return [];
  const words = (one: typeof was) => (one === null ? 'no' : absolute(one.effectiveAt));
  return [{ what: 'Break-glass goes off', before: words(was), after: words(pending), retention: false }];
}

const own = ({ classes }: PolicyParts, name: string) =>
  Object.hasOwn(classes, name) ? classes[name] : undefined;

const classIn = (document: PolicyParts, name: string) =>
  own(document, name) ?? own(document, 'general') ?? DEFAULT_CLASS;

function ownPolicy(name: string, before: PolicyParts, after: PolicyParts): Difference[] {
  const [had, has] = [own(before, name) !== undefined, own(after, name) !== undefined];
  if (had === has || name === 'general') return [];
  const words = (isOwn: boolean) => (isOwn ? 'a policy of its own' : 'as class general');
  return [{ what: `Class ${name}`, before: words(had), after: words(has), retention: false }];
}

function leafDifferences(before: unknown, after: unknown, prefix: string): Difference[] {
  const [old, now] = [leaves(before), leaves(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((path) => old.get(path) !== now.get(path))
    .map((path) => {
      const what = nameOf(path.split('.'));
      return {
        what: prefix === '' ? what : `${prefix}${what.charAt(0).toLowerCase()}${what.slice(1)}`,
        before: valueWords(path, old.get(path)),
        after: valueWords(path, now.get(path)),
        retention: path.startsWith('retention.'),
      };
    });
}

function leaves(value: unknown, path = ''): Map<string, unknown> {
  if (typeof value !== 'object' || value === null) return new Map([[path, value]]);
  return new Map(
    Object.entries(value).flatMap(([name, one]) => [
      ...leaves(one, path === '' ? name : `${path}.${name}`).entries(),
    ]),
  );
}

const SPANS: Record<string, string> = {
  days: 'kept',
  binDays: 'in the bin',
  floorDays: 'kept at least',
  ceilingDays: 'kept at most',
};

/** `Tool output: kept`; a place that this release does not know is named as it is. */
function nameOf(path: readonly string[]): string {
  const [part = '', name = '', last = ''] = path;
  if (part === 'breakGlass') return 'Break-glass';
  if (part === 'quotas') return QUOTA_NAMES[name as keyof typeof QUOTA_NAMES] ?? path.join('.');
  if (part === 'retention' && SPANS[last]) return `${KIND_NAMES[name as Kind] ?? name}: ${SPANS[last]}`;
  if (part === 'sensitive' && name === 'roles')
    return `${SORT_NAMES[path[3] as Sort] ?? path[3]} in messages of role ${last}`;
  if (part === 'sensitive') return SORT_NAMES[name as Sort] ?? name;
  return path.join('.');
}

function valueWords(path: string, value: unknown): string {
  if (value === undefined) return 'as for all roles';
  if (value === null) return path.endsWith('.days') ? 'for ever' : 'no limit';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return VERDICT_NAMES[value] ?? value;
  if (typeof value !== 'number') return JSON.stringify(value);
  if (path.startsWith('quotas.bytes')) return `${plural(value, 'byte')} (${size(value)})`;
  if (path.startsWith('quotas.')) return plural(value, 'message');
  return path.endsWith('.binDays') && value === 0 ? 'no bin' : plural(value, 'day');
}
