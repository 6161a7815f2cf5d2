import { z } from 'zod';
import { sendJson, sendNothing } from '../operation.ts';
import { sendStream } from '../text-stream.ts';
import { fileAnswer, fileHeaders } from './attachments.ts';
import { operation } from './context.ts';
import { cursor, limit, madeId } from './schemas/fields.ts';
import * as shapes from './schemas/quarantine.ts';

/** What is held back until people decide whether it comes in. */

const QUARANTINE = '/api/governance/quarantine';
const ONE = `${QUARANTINE}/{id}`;
const READ = { tag: 'Governance', access: 'factory.governance.read' } as const;
const MANAGE = { tag: 'Governance', access: 'factory.governance.manage' } as const;
const byId = z.strictObject({ id: madeId });

const list = operation({
  ...{ method: 'get', path: QUARANTINE, id: 'listQuarantine', ...READ },
  summary: 'List what waits in quarantine, the newest first: who, when, rules and places, never the text',
  query: z.strictObject({ cursor, limit }),
  responses: { 200: { description: 'A page of what waits.', schema: shapes.quarantineList } },
  async handle({ res, query }, { chat }) {
    sendJson(res, 200, await chat.governance.quarantine.list(query));
  },
});

const show = operation({
  ...{ method: 'get', path: ONE, id: 'showQuarantined', ...READ },
  summary: 'Show what is known of one thing in quarantine',
  params: byId,
  responses: { 200: { description: 'What is known of it.', schema: shapes.quarantined } },
  async handle({ res, params }, { chat }) {
    sendJson(res, 200, await chat.governance.quarantine.show(params.id));
  },
});

const original = operation({
  ...{ method: 'get', path: `${ONE}/original`, id: 'readQuarantined', ...MANAGE },
  summary: 'Read what was held back, to decide on it; each reading is in the audit log',
  params: byId,
  responses: { 200: { description: 'The content.', schema: shapes.original } },
  problems: [409, 410],
  async handle({ res, principal, params }, { chat }) {
    sendJson(res, 200, await chat.governance.quarantine.original(principal, params.id));
  },
});

const content = operation({
  ...{ method: 'get', path: `${ONE}/original/content`, id: 'readQuarantinedFile', ...MANAGE },
  summary: 'Get the content of a file that was held back; each reading is in the audit log',
  params: byId,
  responses: { 200: fileAnswer },
  problems: [409, 410],
  async handle({ req, res, principal, params }, { chat }) {
    const { about, content } = await chat.governance.quarantine.content(principal, params.id);
    await sendStream(req, res, fileHeaders(about), content);
  },
});

const release = operation({
  ...{ method: 'post', path: `${ONE}/release`, id: 'releaseQuarantined', ...MANAGE },
  summary: 'Ask for the release of what was held back, or, as a second person, agree to it',
  description:
    'The first request asks. The second, by somebody else, puts the original in its place; in the solo preset the same person can repeat it after the waiting time of the policy of the queue.',
  params: byId,
  body: shapes.decision,
  responses: {
    202: { description: 'It is asked for, and waits for a second person.', schema: shapes.quarantined },
    204: { description: 'It is let in.' },
  },
  problems: [409, 410],
  async handle({ res, principal, params, body }, { chat }) {
    const asked = await chat.governance.quarantine.release(principal, params.id, body.reason);
    if (asked === null) sendNothing(res);
    else sendJson(res, 202, asked);
  },
});

const reject = operation({
  ...{ method: 'post', path: `${ONE}/reject`, id: 'rejectQuarantined', ...MANAGE },
  summary: 'Remove what was held back for ever; the placeholder stays, of a file nothing',
  params: byId,
  body: shapes.decision,
  responses: { 204: { description: 'It is removed.' } },
  problems: [409],
  async handle({ res, principal, params, body }, { chat }) {
    await chat.governance.quarantine.reject(principal, params.id, body.reason);
    sendNothing(res);
  },
});

export const quarantineOperations = [list, show, original, content, release, reject];
