import type { PersonDocument } from '../../../access/people.ts';
import { ACTION_IDENTITIES } from '../../../work-items/types.ts';
import type { AuditQuery } from '../ports.ts';
import type { AuditFilter } from '../views/audit.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What somebody typed as the log knows it: names become ids, `claim` becomes `work-item.claim`, `BF-1` `wi-BF-1`. */
export function auditQuery(
  { actor, action, object, outcome, from, to }: AuditFilter,
  people: readonly PersonDocument[],
): Omit<AuditQuery, 'cursor' | 'limit'> {
  return {
    ...(actor ? { actors: actorIds(actor, people) } : {}),
    ...(action ? { action: actionName(action) } : {}),
    ...(object ? { object: objectId(object, people) } : {}),
    ...(outcome ? { outcome } : {}),
    ...timeOf('from', from),
    ...timeOf('to', to),
  };
}

/** What is no time is not asked for. */
function timeOf(name: 'from' | 'to', text = ''): Partial<Pick<AuditQuery, 'from' | 'to'>> {
  const at = Date.parse(text);
  return Number.isNaN(at) ? {} : { [name]: new Date(at).toISOString() };
}

/**
 * Ids of the people and tokens with that id or name; of those whose name contains it, where none has it; else the text.
 * A person answers for their tokens, so these come with them, revoked ones too.
 */
export function actorIds(text: string, people: readonly PersonDocument[]): string[] {
  const all = people.flatMap((person) => [person, ...person.tokens]);
  const wanted = text.toLowerCase();
  const found = [
    all.filter(({ id }) => id === text),
    all.filter(({ name }) => name.toLowerCase() === wanted),
    all.filter(({ name }) => name.toLowerCase().includes(wanted)),
  ].find((some) => some.length > 0);
  if (!found) return [text];
  const ids = found.flatMap((one) => ('tokens' in one ? [one, ...one.tokens] : [one])).map(({ id }) => id);
  return [...new Set(ids)];
}

export function actionName(text: string): string {
  const identity = text.toLowerCase().replaceAll(' ', '-');
  return ACTION_IDENTITIES.some((one) => one === identity) ? `work-item.${identity}` : text;
}

/** The id of an item by its key; of a person or token by its whole name. */
export function objectId(text: string, people: readonly PersonDocument[]): string {
  const all = people.flatMap((person) => [person, ...person.tokens]);
  const named = all.find(({ id, name }) => id === text || name.toLowerCase() === text.toLowerCase());
  if (named) return named.id;
  return /^[A-Za-z0-9]+-[A-Za-z0-9.-]+$/.test(text) && !text.startsWith('wi-') && !UUID.test(text)
    ? `wi-${text}`
    : text;
}
