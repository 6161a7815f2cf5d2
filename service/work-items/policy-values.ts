import { isMap } from 'yaml';
import type { Node } from 'yaml';
import { listOf, nearest, scalarOf } from './yaml-nodes.ts';
import type { Report, YamlReader } from './yaml-nodes.ts';

/** A place in the policy: `path` as people write it, e.g. `freshness.queue`. */
export interface Place {
  path: string;
  node: Node | null;
  line: number;
}

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
const MAX_SECONDS = 365 * SECONDS.d;

/** Readers of values. Each reports what is wrong at its place and then answers null. */
export function policyValues(yaml: YamlReader, report: Report) {
  const wrong = ({ path, line }: Place, must: string, hint: string): null => {
    report(line, 'policy-value', `\`${path}\` must be ${must}.`, hint);
    return null;
  };

  /** The places below a mapping, by name; empty where it is absent. */
  function below(place: Place): Map<string, Place> {
    if (scalarOf(place.node) === null) return new Map();
    if (!isMap(place.node)) {
      wrong(place, 'a list of `name: value`', 'Write one `name: value` a line, indented below it.');
      return new Map();
    }
    const prefix = place.path === '' ? '' : `${place.path}.`;
    const entries = [...yaml.entries(place.node)];
    return new Map(entries.map(([name, entry]) => [name, { ...entry, path: `${prefix}${name}` }]));
  }

  /** As `below`, for known names alone; others are problems with the nearest known one. */
  function section(place: Place, known: readonly string[]): Map<string, Place> {
    const places = below(place);
    for (const [name, { path, line }] of places) {
      if (known.includes(name)) continue;
      const near = nearest(name, known);
      const hint = near ? `Did you mean \`${near}\`?` : `Known here: ${known.join(', ')}.`;
      report(line, 'policy-key', `\`${path}\` is not known.`, hint);
      places.delete(name);
    }
    return places;
  }

  function text(place: Place): string | null {
    const value = scalarOf(place.node);
    if (typeof value === 'string' && value.trim() !== '') return value.trim();
    return wrong(place, 'a text', 'Write a text; put numbers and `true` in quotes.');
  }

  function oneOf<T extends string>(place: Place, known: readonly T[]): T | null {
    const value = scalarOf(place.node);
    const found = known.find((candidate) => candidate === value);
    if (found !== undefined) return found;
    const near = typeof value === 'string' ? nearest(value, known) : null;
    return wrong(
      place,
      `one of ${known.join(', ')}`,
      near ? `Did you mean \`${near}\`?` : `For example \`${known[0]}\`.`,
    );
  }

  function whole(place: Place, min: number, max: number): number | null {
    const value = scalarOf(place.node);
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    return wrong(place, `a whole number from ${min} to ${max}`, `For example ${min}.`);
  }

  /** Seconds of `60s`, `5m`, `2h` or `1d`; more than none, a year at most. */
  function duration(place: Place): number | null {
    const match = /^(\d{1,9})([smhd])$/.exec(String(scalarOf(place.node)));
    const seconds = match ? Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS] : 0;
    if (seconds > 0 && seconds <= MAX_SECONDS) return seconds;
    return wrong(
      place,
      'a duration of at most 365d',
      'Write a number and its unit, e.g. `60s`, `5m`, `2h` or `1d`.',
    );
  }

  /** A day or a time with its zone, as ISO-8601 UTC. A day begins at midnight UTC. */
  function time(place: Place): string | null {
    const value = String(scalarOf(place.node));
    const form = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/;
    const at = form.test(value) ? Date.parse(value) : NaN;
    if (!Number.isNaN(at)) return new Date(at).toISOString();
    return wrong(
      place,
      'a day or a time with its zone',
      'Write e.g. `2026-12-24` or `2026-12-24T18:00:00Z`.',
    );
  }

  function list(place: Place): Place[] {
    const nodes = listOf(place.node);
    if (!nodes) {
      if (scalarOf(place.node) !== null) wrong(place, 'a list', 'Write `[a, b]`, or one `- a` a line.');
      return [];
    }
    return nodes.map((node, index) => {
      return { path: `${place.path}[${index}]`, node, line: node ? yaml.line(node) : place.line };
    });
  }

  /** A list of known names without repetition; wrong entries are left out. */
  function names<T extends string>(place: Place, known: readonly T[]): T[] {
    return [...new Set(list(place).flatMap((entry) => oneOf(entry, known) ?? []))];
  }

  return { below, section, text, oneOf, whole, duration, time, list, names, wrong };
}

export type PolicyValues = ReturnType<typeof policyValues>;
