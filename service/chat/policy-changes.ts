import { canonicalJson } from '../canonical-json.ts';

/** What one document of policies has that another has not, place by place. Pure. */

export interface PolicyChange {
  /** JSON pointer into the document, as `/classes/support/sensitive/secrets`. */
  path: string;
  /** Absent: there was nothing. */
  before?: unknown;
  /** Absent: there is nothing any more. */
  after?: unknown;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** As deep as both have the place: a class that is new is one change. */
export function changesBetween(before: unknown, after: unknown, path = ''): PolicyChange[] {
  if (isObject(before) && isObject(after))
    return [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .sort()
      .flatMap((name) => changesBetween(before[name], after[name], `${path}/${segment(name)}`));
  if (before === undefined) return after === undefined ? [] : [{ path, after }];
  if (after === undefined) return [{ path, before }];
  return canonicalJson(before) === canonicalJson(after) ? [] : [{ path, before, after }];
}

/** RFC 6901. */
const segment = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
