import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, limit, madeId } from './schemas/fields.ts';
import { erasure, erasureList, erasurePlan, newErasure, newErasurePlan } from './schemas/governance.ts';
import { subjectId } from './schemas/sessions.ts';

/** Erasures of subjects, and what is there about one. */

const ERASURES = '/api/governance/erasures';
const READ = { tag: 'Governance', access: 'factory.governance.read' } as const;
const MANAGE = { tag: 'Governance', access: 'factory.governance.manage' } as const;
const byId = z.strictObject({ id: madeId });

const plan = operation({
  ...{ method: 'post', path: '/api/governance/erasure-plans', id: 'planErasure', ...MANAGE },
  summary: 'Count what the erasure of a subject would take away, and what holds would keep; changes nothing',
  description: 'Nothing is stored, so that the name stands in no address and no list.',
  body: newErasurePlan,
  responses: { 200: { description: 'What would go and what would stay.', schema: erasurePlan } },
  problems: [404, 410],
  async handle({ res, body }, { chat }) {
    sendJson(res, 200, await chat.governance.erasurePlan(body.subjectId));
  },
});

const request = operation({
  ...{ method: 'post', path: ERASURES, id: 'requestErasure', ...MANAGE },
  summary: 'Erase a subject: its sessions, its messages in those of others, its name, and then its keys',
  description:
    'Carried out in the background. What a hold keeps stays until its release, and is erased then. The same subject again answers with the erasure that there is.',
  body: newErasure,
  responses: {
    202: {
      description: 'It was taken down, and will be carried out.',
      schema: erasure,
      headers: ['Location'],
      links: { showErasure: { id: '/id' } },
    },
  },
  problems: [404],
  async handle({ res, principal, body }, { chat }) {
    const made = await chat.governance.erasures.request(principal, body);
    res.set('Location', `${ERASURES}/${made.id}`);
    sendJson(res, 202, made);
  },
});

const list = operation({
  ...{ method: 'get', path: ERASURES, id: 'listErasures', ...READ },
  summary: 'List erasures, the newest first',
  query: z.strictObject({ cursor, limit }),
  responses: { 200: { description: 'A page of erasures.', schema: erasureList } },
  async handle({ res, query }, { chat }) {
    sendJson(res, 200, await chat.governance.erasures.list(query));
  },
});

const show = operation({
  ...{ method: 'get', path: `${ERASURES}/{id}`, id: 'showErasure', ...READ },
  summary: 'Show an erasure with its certificate',
  params: byId,
  responses: { 200: { description: 'The erasure.', schema: erasure } },
  async handle({ res, params }, { chat }) {
    sendJson(res, 200, await chat.governance.erasures.show(params.id));
  },
});

const report = operation({
  ...{ method: 'get', path: '/api/governance/subjects/report', id: 'reportSubject', ...MANAGE },
  summary: 'Everything that is there about a subject: what an erasure would take away',
  description:
    'A line is a JSON document whose `type` is `subject`, `session`, `message`, `attachment`, `quarantined` or, for the last one, `end`. An attachment has `name`, `mediaType`, `sha256`, `bytes` and the `path` that answers its content. What waits in quarantine is named without its content.',
  query: z.strictObject({ subjectId }),
  responses: {
    200: {
      description: 'JSON documents, each ended by a line feed.',
      schema: z.string(),
      contentType: 'application/x-ndjson',
    },
  },
  problems: [404, 409, 410],
  async handle({ req, res, principal, query }, { chat }) {
    const lines = await chat.governance.subjectReport(principal, query.subjectId);
    res.status(200).set({ 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
    if (req.method === 'HEAD') return void res.end();
    try {
      await pipeline(Readable.from(textOf(lines)), res);
    } catch (error) {
      // The caller went away; nobody is left to be told.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    }
  },
});

async function* textOf(lines: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`;
}

export const erasureOperations = [plan, request, list, report, show];
