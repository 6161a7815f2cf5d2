import { z } from 'zod';
import type { OneTimeLink, PersonDocument, TokenDocument } from '../../../access/people.ts';
import { ROLES } from '../../../access/roles.ts';
import type { NewToken } from '../../../access/tokens.ts';
import { line } from '../../../work-items/texts.ts';
import { named, time } from './fields.ts';

/** People, their tokens, and who asks. */

const role = z.enum(ROLES);

const tokenFields = {
  id: z.string(),
  name: z.string(),
  roles: z.array(z.string()),
  createdAt: time,
  lastUsedAt: time.nullable().describe('To the minute; null: never.'),
  expiresAt: time.nullable(),
  revokedAt: time.nullable(),
};

const token = named('Token', z.strictObject(tokenFields) satisfies z.ZodType<TokenDocument>);

export const person = named(
  'Person',
  z.strictObject({
    id: z.string(),
    name: z.string(),
    roles: z.array(z.string()),
    status: z.enum(['invited', 'active', 'removed']),
    createdAt: time,
    lastSeenAt: time.nullable(),
    tokens: z.array(token),
  }) satisfies z.ZodType<PersonDocument>,
);

export const people = named('People', z.strictObject({ people: z.array(person) }));

export const invitation = named('Invitation', z.strictObject({ name: line(200), role }));

export const linkRequest = named(
  'LinkRequest',
  z.strictObject({
    signOut: z.boolean().optional().describe('Ends their sign-ins, too; default: false.'),
  }),
);

export const roleChange = named('RoleChange', z.strictObject({ role }));

export const oneTimeLink = named(
  'OneTimeLink',
  z.strictObject({
    id: z.string(),
    url: z.string().describe('Signs the person in, once.'),
    expiresAt: time,
  }) satisfies z.ZodType<OneTimeLink>,
);

const ownedToken = z.strictObject({ ...tokenFields, personId: z.string() });

export const tokens = named('Tokens', z.strictObject({ tokens: z.array(ownedToken) }));

export const tokenRequest = named(
  'TokenRequest',
  z.strictObject({
    name: line(200),
    roles: z.array(role).min(1).max(ROLES.length),
    personId: z.uuid().optional().describe('Whose token it is; default: the caller.'),
    expires: z
      .string()
      .regex(/^[1-9]\d{0,3}[mhdw]$/, 'Must be a duration: 90m, 12h, 30d or 4w.')
      .optional()
      .describe('A duration, e.g. `30d`; default: never.'),
  }),
);

export const newToken = named(
  'NewToken',
  z.strictObject({
    id: z.string(),
    name: z.string(),
    roles: z.array(z.string()),
    personId: z.string(),
    expiresAt: time.nullable(),
    token: z.string().describe('Shown once; only its hash is stored.'),
  }) satisfies z.ZodType<NewToken>,
);

export const me = named(
  'Me',
  z.strictObject({
    kind: z.enum(['person', 'token']),
    id: z.string(),
    name: z.string(),
    personId: z.string(),
    roles: z.array(z.string()),
    permissions: z.array(z.string()),
  }),
);
