import canonicalize from 'canonicalize';

/**
 * RFC 8785 text of a JSON value, the form that is hashed and stored. Sorting copies and the engine's own serialiser take
 * a third of the library's time; keys that the engine would reorder (`"10"`) go to the library.
 * Throws on what JSON cannot hold: non-finite numbers, lone surrogates, undefined as a whole.
 */
export function canonicalJson(value: unknown): string {
  const copy = sortedCopy(value);
  const text = copy === NEEDS_LIBRARY ? canonicalize(value) : JSON.stringify(copy);
  if (text === undefined) throw new TypeError('value has no JSON form');
  return text;
}

/** Whether two JSON values are the same, in whatever order their keys come; a missing one is null. */
export function sameJson(one: unknown, other: unknown): boolean {
  return one === other || canonicalJson(one ?? null) === canonicalJson(other ?? null);
}

const NEEDS_LIBRARY = Symbol('needs library');
const INDEX_LIKE = /^\d+$/;

function sortedCopy(value: unknown): unknown {
  if (typeof value === 'string') return wellFormed(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
  if (typeof value !== 'object' || value === null) return value;
  if ('toJSON' in value) return NEEDS_LIBRARY;
  return Array.isArray(value) ? sortedArray(value) : sortedObject(value as Record<string, unknown>);
}

function sortedArray(values: unknown[]): unknown {
  const copy: unknown[] = [];
  for (const value of values) {
    const sorted = sortedCopy(value);
    if (sorted === NEEDS_LIBRARY) return NEEDS_LIBRARY;
    copy.push(sorted);
  }
  return copy;
}

function sortedObject(value: Record<string, unknown>): unknown {
  // Assigned one by one, `__proto__` would not become a key.
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort()) {
    if (INDEX_LIKE.test(key) || key === '__proto__') return NEEDS_LIBRARY;
    const sorted = sortedCopy(value[key]);
    if (sorted === NEEDS_LIBRARY) return NEEDS_LIBRARY;
    copy[wellFormed(key)] = sorted;
  }
  return copy;
}

function wellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  throw new TypeError('a lone surrogate has no JSON form');
}
