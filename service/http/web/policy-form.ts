import { KINDS, type ClassPolicy, type GeneralPolicy, type Verdict } from '../../chat/policy.ts';

/** Policies as the fields of forms, and back: a field has the name of its place in the document. Pure. */

export type Fields = Record<string, string>;

export const SORTS = ['secrets', 'personal', 'nationalIds'] as const;
export type Sort = (typeof SORTS)[number];
export const ROLES = ['user', 'assistant', 'system', 'tool'] as const;
export const QUOTAS = [
  ...(['messagesPerSubjectAndDay', 'bytesPerSubjectAndDay'] as const),
  ...(['messagesPerSession', 'bytesPerSession'] as const),
] as const;

const text = (value: number | null): string => (value === null ? '' : String(value));

/** Empty is null; what is no number stays what it is, for the service to refuse. */
function number(value = ''): number | string | null {
  if (value === '') return null;
  return /^\d{1,15}$/.test(value) ? Number(value) : value;
}

export function fieldsOfGeneral({ breakGlass, retention, quotas }: GeneralPolicy): Fields {
  return {
    breakGlass: breakGlass ? 'on' : '',
    ...Object.fromEntries(QUOTAS.map((name) => [`quotas.${name}`, text(quotas[name])])),
    ...Object.fromEntries(
      KINDS.flatMap((kind) => [
        [`retention.${kind}.floorDays`, text(retention[kind].floorDays)],
        [`retention.${kind}.ceilingDays`, text(retention[kind].ceilingDays)],
      ]),
    ),
  };
}

/** A document for the service to read: nothing is known to be right about it. */
export function generalOf(input: Fields): unknown {
  const at = (path: string) => number(input[path]);
  return {
    breakGlass: input['breakGlass'] === 'on',
    quotas: Object.fromEntries(QUOTAS.map((name) => [name, at(`quotas.${name}`)])),
    retention: Object.fromEntries(
      KINDS.map((kind) => [
        kind,
        {
          floorDays: at(`retention.${kind}.floorDays`),
          ceilingDays: at(`retention.${kind}.ceilingDays`),
        },
      ]),
    ),
  };
}

export function fieldsOfClass({ retention, sensitive }: ClassPolicy): Fields {
  const verdictOf = (role: (typeof ROLES)[number], sort: Sort): Verdict | '' =>
    sensitive.roles[role]?.[sort] ?? '';
  return {
    ...Object.fromEntries(
      KINDS.flatMap((kind) => [
        [`retention.${kind}.days`, text(retention[kind].days)],
        [`retention.${kind}.binDays`, text(retention[kind].binDays)],
      ]),
    ),
    ...Object.fromEntries(SORTS.map((sort) => [`sensitive.${sort}`, sensitive[sort]])),
    ...Object.fromEntries(
      ROLES.flatMap((role) =>
        SORTS.map((sort) => [`sensitive.roles.${role}.${sort}`, verdictOf(role, sort)]),
      ),
    ),
  };
}

export function classOf(input: Fields): unknown {
  const given = (pairs: [string, unknown][]) =>
    Object.fromEntries(pairs.filter(([, value]) => value !== undefined && value !== ''));
  const ofRole = (role: string) =>
    given(SORTS.map((sort) => [sort, input[`sensitive.roles.${role}.${sort}`]]));
  const roles = ROLES.map((role): [string, object] => [role, ofRole(role)]);
  return {
    retention: Object.fromEntries(
      KINDS.map((kind) => [
        kind,
        {
          days: number(input[`retention.${kind}.days`]),
          binDays: number(input[`retention.${kind}.binDays`]),
        },
      ]),
    ),
    sensitive: {
      ...Object.fromEntries(SORTS.map((sort) => [sort, input[`sensitive.${sort}`]])),
      roles: Object.fromEntries(roles.filter(([, one]) => Object.keys(one).length > 0)),
    },
  };
}
