import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import { z } from 'zod';
import { decodeLeaf, type AuditLeaf } from '../../audit/leaf.ts';
import { leavesFrom } from '../../audit/store.ts';
import { FactoryError } from '../../errors.ts';
import type { Reader } from '../../storage/transaction.ts';
import { sendJson, sendText } from '../operation.ts';
import { operation } from './context.ts';
import { entries, outcome, proof, verification } from './schemas/audit.ts';
import { cursor, filter, instant, limit, whole } from './schemas/fields.ts';

/** The audit log for people who check it: entries, checkpoint, proofs, the whole log, verification. */

const READ = { tag: 'Audit', access: 'factory.audit.read' } as const;
const DEFAULT_PAGE = 50;
/** Leaves read at once for the export; some 300 KB. */
const EXPORT_PAGE = 1000;

const listEntries = operation({
  ...{ method: 'get', path: '/api/audit/entries', id: 'listAuditEntries', ...READ },
  summary: 'List audit entries, newest first',
  description:
    'A page can be short, or empty, and still have a next one: rare matches are looked for in several calls.',
  query: z.strictObject({
    actor: filter(200).optional().describe('Id of who acted.'),
    action: filter(200).optional(),
    object: filter(200).optional().describe('Id of what was acted on.'),
    outcome: outcome.optional(),
    code: filter(200).optional().describe('Reason of a refusal.'),
    from: instant.optional().describe('Written from then on.'),
    to: instant.optional().describe('Written until then.'),
    cursor,
    limit,
  }),
  responses: { 200: { description: 'A page of entries.', schema: entries } },
  async handle({ res, query }, { audit, cursors }) {
    const { cursor: at, limit = DEFAULT_PAGE, ...filters } = query;
    const after = at === undefined ? null : (cursors.decode('audit', at) as number);
    const page = await audit.entries({ after, limit, filters });
    sendJson(res, 200, {
      entries: page.entries.map(({ seq, leaf }) => ({ seq, leaf: leafOrNull(leaf) })),
      nextCursor: page.next === null ? null : cursors.encode('audit', page.next),
    });
  },
});

/** Somebody who edits the database must not be able to break the page that shows it. */
function leafOrNull(text: string): AuditLeaf | null {
  try {
    return decodeLeaf(text);
  } catch {
    return null;
  }
}

const showCheckpoint = operation({
  ...{ method: 'get', path: '/api/audit/checkpoint', id: 'showCheckpoint', ...READ },
  summary: 'The newest signed checkpoint, as `verify-audit --checkpoint` takes it',
  responses: {
    200: {
      description: 'A signed note (C2SP tlog-checkpoint).',
      schema: z.string(),
      contentType: 'text/plain',
    },
  },
  problems: [404],
  handle({ res }, { audit }) {
    const checkpoint = audit.checkpoint();
    if (checkpoint === null) throw notSigned();
    sendText(res, 200, 'text/plain; charset=utf-8', checkpoint.text);
  },
});

const seq = whole(1, Number.MAX_SAFE_INTEGER);
const size = whole(0, Number.MAX_SAFE_INTEGER);

const showProof = operation({
  ...{ method: 'get', path: '/api/audit/proof', id: 'showProof', ...READ },
  summary: 'Prove that an entry is in the log, or that one size of the log continues another',
  description:
    'With `entry`: an inclusion proof against the newest checkpoint. With `from` or `to`, or nothing: a consistency ' +
    'proof, by default from the empty log to the newest checkpoint. With both: both, the second as `consistency`.',
  query: z.strictObject({
    entry: seq.optional().describe('`seq` of the entry.'),
    from: size.optional().describe('The smaller size.'),
    to: size.optional().describe('The larger size.'),
  }),
  responses: { 200: { description: 'The proof.', schema: proof } },
  problems: [404, 409],
  async handle({ res, query }, { audit }) {
    const { entry, from, to } = query;
    const both = from !== undefined || to !== undefined;
    const newest = audit.checkpoint()?.size ?? 0;
    const consistency =
      both || entry === undefined ? await audit.consistencyProof(from ?? 0, to ?? newest) : null;
    if (entry === undefined) return sendJson(res, 200, consistency);
    sendJson(res, 200, { ...(await audit.inclusionProof(entry)), ...(consistency ? { consistency } : {}) });
  },
});

const exportLog = operation({
  ...{ method: 'get', path: '/api/audit/export', id: 'exportAuditLog', ...READ },
  summary: 'The whole log: one canonical leaf a line, oldest first',
  responses: {
    200: {
      description: 'Leaves, each ended by a line feed.',
      schema: z.string(),
      contentType: 'application/x-ndjson',
    },
  },
  async handle({ req, res }, { storage }) {
    res.status(200).set({ 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
    if (req.method === 'HEAD') res.end();
    else await streamLeaves(storage.read, res);
  },
});

async function streamLeaves(reader: Reader, res: Response): Promise<void> {
  try {
    await pipeline(Readable.from(leafLines(reader)), res);
  } catch (error) {
    // The caller went away; nobody is left to be told.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

/** The log only grows, so pages of it make one state: that of the last page. */
async function* leafLines(reader: Reader): AsyncGenerator<string> {
  let from = 1;
  for (;;) {
    const rows = await reader.all(leavesFrom, { from, limit: EXPORT_PAGE });
    if (rows.length > 0) yield rows.map(({ leaf }) => `${leaf}\n`).join('');
    if (rows.length < EXPORT_PAGE) return;
    from = (rows.at(-1)?.seq ?? from) + 1;
  }
}

const verify = operation({
  ...{ method: 'post', path: '/api/audit/verifications', id: 'verifyAuditLog', ...READ },
  summary: 'Read the whole log again and verify it against its checkpoints',
  responses: { 200: { description: 'What was found.', schema: verification } },
  async handle({ res }, { verifyAudit }) {
    sendJson(res, 200, await verifyAudit());
  },
});

function notSigned(): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: 'show checkpoint',
    message: 'No checkpoint is signed yet.',
    hint: 'Ask again in a second; if it stays, look at the audit check of GET /api/health.',
    retryable: true,
  });
}

export const auditOperations = [listEntries, showCheckpoint, showProof, exportLog, verify];
