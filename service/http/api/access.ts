import { z } from 'zod';
import { FactoryError } from '../../errors.ts';
import { sendJson, sendNothing } from '../operation.ts';
import { changeActor, operation } from './context.ts';
import {
  invitation,
  linkRequest,
  me,
  newToken,
  oneTimeLink,
  people,
  person,
  roleChange,
  tokenRequest,
  tokens,
} from './schemas/access.ts';
import { madeId } from './schemas/fields.ts';

/** People, tokens, and who asks. */

const PEOPLE = { tag: 'People', access: 'factory.people.manage' } as const;
const TOKENS = { tag: 'Tokens', access: 'factory.token.manage' } as const;
const byId = z.strictObject({ id: madeId });

const showMe = operation({
  ...{ method: 'get', path: '/api/me', id: 'showMe', tag: 'People', access: 'signed-in' },
  summary: 'Show who the caller is and what they may do',
  responses: { 200: { description: 'The caller.', schema: me } },
  handle({ res, principal }) {
    const { kind, id, name, personId, roles, permissions } = principal;
    sendJson(res, 200, { kind, id, name, personId, roles, permissions: [...permissions].sort() });
  },
});

const listPeople = operation({
  ...{ method: 'get', path: '/api/people', id: 'listPeople', tag: 'People', access: 'factory.people.read' },
  summary: 'List people with their tokens',
  responses: { 200: { description: 'Everybody, removed people too.', schema: people } },
  async handle({ res }, context) {
    sendJson(res, 200, { people: await context.people.list() });
  },
});

const invite = operation({
  ...{ method: 'post', path: '/api/people', id: 'invitePerson', ...PEOPLE },
  summary: 'Invite a person by a one-time link',
  body: invitation,
  responses: {
    201: {
      description: 'The link; it is shown once.',
      schema: oneTimeLink,
      links: { linkPerson: { id: '/id' }, changeRole: { id: '/id' }, removePerson: { id: '/id' } },
    },
  },
  async handle({ res, principal, body }, context) {
    sendJson(res, 201, await context.people.invite(changeActor(principal), body));
  },
});

const link = operation({
  ...{ method: 'post', path: '/api/people/{id}/link', id: 'linkPerson', ...PEOPLE },
  summary: 'Make a new one-time link for a person who is there already',
  description: 'Older links of theirs that nobody used end.',
  params: byId,
  body: linkRequest,
  responses: { 201: { description: 'The link; it is shown once.', schema: oneTimeLink } },
  async handle({ res, principal, params, body }, context) {
    const { signOut = false } = body;
    sendJson(res, 201, await context.people.link(changeActor(principal), params.id, { signOut }));
  },
});

const changeRole = operation({
  ...{ method: 'post', path: '/api/people/{id}/role', id: 'changeRole', ...PEOPLE },
  summary: 'Give a person another role',
  description:
    'It counts from their next request on. Their tokens can do no more than they: a role that is lost is held back.',
  params: byId,
  body: roleChange,
  responses: { 200: { description: 'The person.', schema: person } },
  problems: [409],
  async handle({ res, principal, params, body }, context) {
    await context.people.setRole(changeActor(principal), params.id, body.role);
    sendJson(
      res,
      200,
      (await context.people.list()).find(({ id }) => id === params.id),
    );
  },
});

const remove = operation({
  ...{ method: 'delete', path: '/api/people/{id}', id: 'removePerson', ...PEOPLE },
  summary: 'Remove a person, their tokens and their sign-ins',
  params: byId,
  responses: { 204: { description: 'They are out.' } },
  problems: [409],
  async handle({ res, principal, params }, context) {
    await context.people.remove(changeActor(principal), params.id);
    sendNothing(res);
  },
});

const listTokens = operation({
  ...{ method: 'get', path: '/api/tokens', id: 'listTokens', ...TOKENS },
  summary: 'List API tokens',
  responses: { 200: { description: 'All tokens, ended ones too; never their secrets.', schema: tokens } },
  async handle({ res }, context) {
    sendJson(res, 200, { tokens: await context.tokens.list() });
  },
});

const createToken = operation({
  ...{ method: 'post', path: '/api/tokens', id: 'createToken', ...TOKENS },
  summary: 'Create an API token that belongs to a person',
  body: tokenRequest,
  responses: {
    201: {
      description: 'The token; its secret is shown once.',
      schema: newToken,
      links: { revokeToken: { id: '/id' } },
    },
  },
  problems: [404, 409],
  async handle({ res, principal, body }, context) {
    const { name, roles, personId = principal.personId, expires = null } = body;
    sendJson(
      res,
      201,
      await context.tokens.create(changeActor(principal), { name, roles, personId, expires }),
    );
  },
});

const revokeToken = operation({
  ...{ method: 'delete', path: '/api/tokens/{id}', id: 'revokeToken', ...TOKENS },
  summary: 'Revoke an API token',
  params: byId,
  responses: { 204: { description: 'It is refused from now on.' } },
  problems: [409],
  async handle({ res, principal, params }, context) {
    if (principal.kind === 'token' && principal.id === params.id) throw ownToken(params.id);
    await context.tokens.revoke(changeActor(principal), params.id);
    sendNothing(res);
  },
});

/** A slip would shut the caller out, most of all one that clears up all tokens that it finds. */
function ownToken(id: string): FactoryError {
  return new FactoryError({
    code: 'own-token',
    op: 'revoke token',
    target: id,
    message: 'This token signs this very request.',
    hint: 'Revoke it on the people page, with `npx factory token revoke`, or with another token.',
  });
}

export const accessOperations = [
  showMe,
  listPeople,
  invite,
  link,
  changeRole,
  remove,
  listTokens,
  createToken,
  revokeToken,
];
