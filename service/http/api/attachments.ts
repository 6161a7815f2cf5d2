import { z } from 'zod';
import type { Attachment } from '../../chat/types.ts';
import { bodyStream } from '../body-stream.ts';
import { asDownload, fileName } from '../disposition.ts';
import { badInput, sendJson } from '../operation.ts';
import { sendStream } from '../text-stream.ts';
import { operation } from './context.ts';
import { madeId } from './schemas/fields.ts';
import * as shapes from './schemas/sessions.ts';
import { SESSION, TAG, USE, sessionParams } from './sessions.ts';

/** Files of sessions, streamed both ways. */

/** A file as it was sent, with `fileHeaders`. */
export const fileAnswer = {
  description: 'The content, of the type that it was sent with.',
  schema: z.string().meta({ format: 'binary' }),
  contentType: '*/*',
  headers: ['Content-Disposition', 'Content-Digest'],
} as const;

const ATTACHMENTS = `${SESSION}/attachments`;
const MOST_BYTES = 100 * 1024 * 1024;
/** Of several digests the one that is checked. */
const SHA256 = /^(?:[^,]*,)*\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?:,.*)?$/;

const add = operation({
  ...{ method: 'post', path: ATTACHMENTS, id: 'addAttachment', tag: TAG, access: USE },
  summary: 'Send a file to a session, for a message that names it',
  description:
    'A file that no message names goes after a day. Equal content of one subject is stored once. What does not have the ' +
    'announced digest is not kept. Where sensitive data holds it back, `bytes` and `sha256` are of what was sent, and a short text ' +
    'stands in its place.',
  params: sessionParams,
  query: z.strictObject({
    name: z
      .string()
      .min(1)
      .max(500)
      .optional()
      .describe('Name of the file; else that of `Content-Disposition`.'),
    sha256: z
      .string()
      .regex(/^[0-9A-Fa-f]{64}$/)
      .optional()
      .describe('SHA-256 of the content, hex.'),
    subjectId: shapes.subjectId.optional(),
  }),
  headers: z.strictObject({
    'Content-Disposition': z.string().max(2000).optional().describe('Its `filename` is kept.'),
    'Content-Digest': z
      .string()

      .max(2000)
      .optional()
      .describe('`sha-256=:…:` of the content (RFC 9530).'),
  }),
  stream: { types: ['*/*'], description: `The content, as it is; at most ${MOST_BYTES} bytes.` },
  responses: {
    201: { description: 'It is on disk.', schema: shapes.attachment, headers: ['Location'] },
  },
  problems: [409, 410, 422],
  async handle({ req, res, principal, params, query, headers }, { chat }) {
    const { subjectId } = query;
    const sha256 = query.sha256?.toLowerCase() ?? digestOf(headers['Content-Digest']);
    const name = fileName(`; filename*=utf-8''${encodeURIComponent((query.name ?? '').toWellFormed())}`);
    const made = await chat.attachments.add(
      principal,
      params.id,
      {
        ...{ subjectId, sha256, mediaType: mediaTypeOf(req.headers['content-type']) },
        name: name ?? fileName(headers['Content-Disposition']),
      },
      bodyStream(req, MOST_BYTES),
    );
    res.set('Location', `/api/sessions/${params.id}/attachments/${made.id}`);
    sendJson(res, 201, made);
  },
});

const get = operation({
  ...{
    method: 'get',
    path: `${ATTACHMENTS}/{attachmentId}`,
    id: 'getAttachment',
    tag: TAG,
    access: 'signed-in',
  },
  summary: 'Get the content of a file of a session',
  params: z.strictObject({ id: madeId, attachmentId: madeId }),
  responses: { 200: fileAnswer },
  problems: [403, 410],
  async handle({ req, res, principal, params }, { chat }) {
    const { about, content } = await chat.attachments.open(principal, params.id, params.attachmentId);
    await sendStream(req, res, fileHeaders(about), content);
  },
});

/** A file is saved, not shown, and runs nothing. */
export const fileHeaders = (about: Pick<Attachment, 'mediaType' | 'bytes' | 'name' | 'sha256'>) => ({
  'Content-Type': about.mediaType,
  'Content-Length': String(about.bytes),
  'Content-Disposition': asDownload(about.name),
  'Content-Digest': `sha-256=:${Buffer.from(about.sha256, 'hex').toString('base64')}:`,
  'Content-Security-Policy': "default-src 'none'; sandbox",
});

/** One that cannot be checked is refused: its sender counts on it. */
function digestOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const base64 = SHA256.exec(header)?.[1];
  if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('hex');
  throw badInput('request', [{ path: 'Content-Digest', message: 'Must hold `sha-256=:<base64>:`.' }]);
}

/** What is no media type becomes bytes of any kind. */
function mediaTypeOf(header: string | undefined): string | undefined {
  const type =
    /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;\s*[\w-]+=(?:[\w!#$&^.+:/-]+|"[^"\\\x00-\x1f\x7f-\uffff]*"))*$/.exec(
      header ?? '',
    );
  return type === null || type[0].length > 200 ? undefined : type[0];
}

export const attachmentOperations = [add, get];
