import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, resolve } from 'node:path';
import { itemId } from './items.ts';
import { createApi, type Api } from './lib/client.ts';
import { usage } from './lib/failure.ts';
import { counting, sizeOf } from './lib/files.ts';
import { mediaTypeOf } from './lib/media-type.ts';
import { foundText, messagesText, sessionText, sessionsText } from './lib/session-text.ts';
import type { MessagePage, Screened, Session, SessionPage } from './lib/session-text.ts';
import { readConfig } from './lib/settings.ts';
import type { Given, Run, VerbContext } from './lib/verb.ts';

const SESSIONS = '/api/sessions';
const pathOf = ([id = '']: readonly string[]): string => `${SESSIONS}/${encodeURIComponent(id)}`;
const apiOf = (context: VerbContext): Api => createApi(readConfig(context));

function queryOf(given: Given, parameters: Record<string, string>): string {
  const query = new URLSearchParams();
  for (const [parameter, option] of Object.entries(parameters)) {
    const value = given.text(option);
    if (value !== undefined) query.set(parameter, value);
  }
  return query.toString();
}

export const list: Run = async (context, given) => {
  const query = queryOf(given, { class: 'class', itemId: 'item', limit: 'limit', cursor: 'cursor' });
  const { body } = await apiOf(context).ask(`${SESSIONS}?${query}`);
  const { sessions, nextCursor } = body as SessionPage;
  if (nextCursor !== null) context.say(`There are more: --cursor ${nextCursor}`);
  return { json: body, text: sessionsText(sessions, context.stdout.columns ?? null) };
};

export const show: Run = async (context, given) => {
  const { body } = await apiOf(context).ask(pathOf(given.arguments));
  return { json: body, text: sessionText(body as Session) };
};

export const messages: Run = async (context, given) => {
  const query = queryOf(given, { after: 'after', limit: 'limit', cursor: 'cursor' });
  const { body } = await apiOf(context).ask(`${pathOf(given.arguments)}/messages?${query}`);
  const page = body as MessagePage;
  if (page.nextCursor !== null) context.say(`There are more: --cursor ${page.nextCursor}`);
  return { json: body, text: messagesText(page) };
};

export const begin: Run = async (context, given) => {
  const members = { title: 'title', class: 'class', subjectId: 'subject', itemId: 'item' };
  const body = Object.fromEntries(
    Object.entries(members).flatMap(([member, option]) => {
      const value = given.text(option);
      return value === undefined ? [] : [[member, option === 'item' ? itemId([value]) : value]];
    }),
  );
  const key = given.text('idempotencyKey') ?? randomUUID();
  const answer = await apiOf(context).ask(SESSIONS, {
    ...{ method: 'POST', headers: { 'Idempotency-Key': key }, body },
  });
  return { json: answer.body, text: `Began ${(answer.body as Session).id}` };
};

export const append: Run = async (context, given) => {
  const text = given.text('text');
  const files = given.list('attach').map((file) => resolve(context.cwd, file));
  if (text === undefined && files.length === 0)
    throw usage('sessions append', 'There is nothing to append: give --text or --attach.');
  if (!/^([\w.+-]+\/[\w.+-]+(\s*;.*)?)?$/.test(given.text('type') ?? ''))
    throw usage('sessions append', `--type: "${given.text('type')}" is no media type; write text/markdown.`);
  const api = apiOf(context);
  const path = pathOf(given.arguments);
  const parts: object[] = text === undefined ? [] : [{ type: 'text', text }];
  const found: string[] = [];
  for (const file of files) {
    const sent = await attach(context, api, path, file, given);
    parts.push(sent.part);
    found.push(...foundText(sent.answer, basename(file)));
  }
  // The answer in JSON is that of the message.
  if (context.json) for (const line of found) context.say(line);
  const key = given.text('idempotencyKey') ?? randomUUID();
  const subjectId = given.text('subject');
  const message = {
    role: given.text('role') ?? 'user',
    parts,
    ...(subjectId === undefined ? {} : { subjectId }),
  };
  const { body } = await api.ask(`${path}/messages`, {
    ...{ method: 'POST', headers: { 'Idempotency-Key': key }, body: message },
  });
  const answer = body as Screened & { id: string };
  return { json: body, text: [`Appended ${answer.id}`, ...found, ...foundText(answer)].join('\n') };
};

/** Sends a file with its digest, so that what arrives is what was read. */
async function attach(
  context: VerbContext,
  api: Api,
  path: string,
  file: string,
  given: Given,
): Promise<{ part: object; answer: Screened }> {
  const size = sizeOf(file, 'sessions append');
  const digest = createHash('sha256');
  let beginning: Buffer | null = null;
  for await (const piece of createReadStream(file) as AsyncIterable<Buffer>) {
    beginning ??= piece;
    digest.update(piece);
  }
  const type = given.text('type') ?? mediaTypeOf(basename(file), beginning ?? Buffer.alloc(0));
  const query = new URLSearchParams({ name: basename(file), sha256: digest.digest('hex') });
  const subject = given.text('subject');
  if (subject !== undefined) query.set('subjectId', subject);
  const { body } = await api.ask(`${path}/attachments?${query.toString()}`, {
    ...{
      method: 'POST',
      headers: { 'Content-Type': type, 'Content-Length': String(size) },
    },
    source: createReadStream(file).pipe(counting(context, `Sending ${basename(file)}`)),
  });
  const answer = body as Screened & { id: string; name: string | null };
  const { id, name } = answer;
  const part = { type: 'attachment', attachmentId: id, ...(name === null ? {} : { name }) };
  return { part, answer };
}

export const remove: Run = async (context, given) => {
  const [id = ''] = given.arguments;
  const message = given.text('message');
  const path = message === undefined ? '' : `/messages/${encodeURIComponent(message)}`;
  await apiOf(context).ask(`${pathOf([id])}${path}`, { method: 'DELETE' });
  return { json: { deleted: message ?? id }, text: `Deleted ${message ?? id}` };
};
