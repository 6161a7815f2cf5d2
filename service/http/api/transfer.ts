import { z } from 'zod';
import { bodyStream } from '../body-stream.ts';
import { TITLE } from '../../chat/shapes.ts';
import { badInput, sendJson } from '../operation.ts';
import { sendStream } from '../text-stream.ts';
import { operation } from './context.ts';
import { whole } from './schemas/fields.ts';
import * as shapes from './schemas/sessions.ts';
import { SESSION, SESSIONS, TAG, USE, sessionParams } from './sessions.ts';

/** Sessions to and from other installations, as streams. */

const NDJSON = 'application/x-ndjson';
const format = z
  .enum(['jsonl', 'openai'])
  .optional()
  .describe(
    '`jsonl` (the default) loses nothing; `openai`: the messages alone, in the form of chat completions.',
  );

const exportSession = operation({
  ...{ method: 'get', path: `${SESSION}/export`, id: 'exportSession', tag: TAG, access: 'signed-in' },
  summary: 'Export a session',
  description:
    'As `jsonl` one JSON document a line: `session`, for each message its files (`attachment`, then `data`) and itself ' +
    '(`message`), `tombstone` in the place of what is gone, `end`. Imported elsewhere and exported again it is the same ' +
    'to the byte. As `openai` one document `{"messages":[…]}`. An answer that breaks off has no `end`.',
  params: sessionParams,
  query: z.strictObject({ format }),
  responses: {
    200: {
      description: 'The session.',
      schema: z.string(),
      contentType: NDJSON,
      headers: ['Content-Disposition'],
    },
  },
  problems: [403, 410],
  async handle({ req, res, principal, params: { id }, query }, { chat }) {
    const form = query.format ?? 'jsonl';
    const name = form === 'jsonl' ? `session-${id}.jsonl` : `session-${id}.openai.jsonl`;
    await sendStream(
      ...([req, res] as const),
      {
        'Content-Type': `${NDJSON}; charset=utf-8`,
        'Content-Disposition': `attachment; filename="${name}"`,
      },
      await chat.export(principal, id, form),
    );
  },
});

const importSessions = operation({
  ...{ method: 'post', path: `${SESSIONS}/import`, id: 'importSessions', tag: TAG, access: USE },
  summary: 'Import sessions',
  description:
    'Each session whole or not at all; one that is there already with the same content is no change. Of a problem `line` ' +
    'names where it stands, `imported` the sessions before it, which were kept, and `fromLine` the line to go on from. As ' +
    '`openai` each line `{"messages":[…]}` becomes a new session of the caller, of the class and subject that the query names, with the ' +
    '`title` of the line or else of the query; `dropped` names what of the line has no place here.',
  query: z.strictObject({
    format,
    title: TITLE.optional().describe('Of `openai`: of lines that have none.'),
    class: shapes.sessionClass.optional().describe('Of `openai`: their class; absent: `general`.'),
    subjectId: shapes.subjectId
      .optional()
      .describe('Of `openai`: whom they are about; absent: the person who imports.'),
    fromLine: whole(1, Number.MAX_SAFE_INTEGER)
      .optional()
      .describe('The lines before it are passed over: an earlier import kept them.'),
  }),
  stream: {
    types: [NDJSON, 'application/jsonl', 'application/octet-stream'],
    description: 'Exports, one behind the other.',
  },
  responses: { 201: { description: 'They are there.', schema: shapes.importedSessions } },
  problems: [409, 410, 422],
  async handle({ req, res, principal, query }, { chat }) {
    const { format: form = 'jsonl', fromLine, ...head } = query;
    const [strange] = Object.keys(head);
    if (form === 'jsonl' && strange !== undefined)
      throw badInput('query', [
        { path: strange, message: 'Is for format=openai: as jsonl sessions have their own.' },
      ]);
    const source = bodyStream(req);
    const sessions =
      form === 'jsonl'
        ? await chat.import.jsonl(principal, source, { fromLine })
        : await chat.import.openai(principal, source, { ...head, fromLine });
    sendJson(res, 201, { sessions });
  },
});

export const transferOperations = [importSessions, exportSession];
