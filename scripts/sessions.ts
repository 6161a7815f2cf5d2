import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FactoryError } from '../service/errors.ts';
import { syncFolder } from '../service/replace-file.ts';
import { createApi, type Api } from './lib/client.ts';
import { usage } from './lib/failure.ts';
import { mediaTypeOf } from './lib/media-type.ts';
import { messagesText, sessionText, sessionsText } from './lib/session-text.ts';
import type { MessagePage, Session, SessionPage } from './lib/session-text.ts';
import { readConfig } from './lib/settings.ts';
import { sizeText } from './lib/size.ts';
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
  return { json: body, text: messagesText(page.messages) };
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
  for (const file of files) parts.push(await attach(context, api, path, file, given));
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
  return { json: body, text: `Appended ${(body as { id: string }).id}` };
};

/** Sends a file with its digest, so that what arrives is what was read. */
async function attach(
  context: VerbContext,
  api: Api,
  path: string,
  file: string,
  given: Given,
): Promise<object> {
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
  const { id, name } = body as { id: string; name: string | null };
  return { type: 'attachment', attachmentId: id, ...(name === null ? {} : { name }) };
}

export const exportSession: Run = async (context, given) => {
  const to = given.text('to');
  if (to === undefined && context.json) throw usage('sessions export', '--json takes --to FILE.');
  const format = given.text('format') ?? 'jsonl';
  const path = to === undefined ? null : resolve(context.cwd, to);
  if (path !== null && existsSync(path)) throw exists(path);
  const content = await apiOf(context).open(`${pathOf(given.arguments)}/export?format=${format}`);
  const counted = counting(context, 'Exported');
  if (path === null) {
    // The caller ends its own output.
    await pipeline(content, counted, context.stdout as Writable, { end: false }).catch(broken);
    return null;
  }
  await toFile(path, (file) => pipeline(content, counted, file).catch(broken));
  const [id] = given.arguments;
  return {
    json: { id, format, path, bytes: counted.bytes() },
    text: `Exported ${id} to ${path}, ${sizeText(counted.bytes())}`,
  };
};

/** Beside it first: a file under the name that was asked for is whole. */
async function toFile(path: string, fill: (file: Writable) => Promise<void>): Promise<void> {
  const beside = `${path}.part`;
  try {
    await fill(createWriteStream(beside, { mode: 0o600, flush: true }));
    if (existsSync(path)) throw exists(path);
    await rename(beside, path);
    syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

export const importSessions: Run = async (context, given) => {
  const [named = ''] = given.arguments;
  const path = resolve(context.cwd, named);
  sizeOf(path, 'sessions import');
  const format = given.text('format') ?? 'jsonl';
  const { body } = await apiOf(context).ask(`${SESSIONS}/import?format=${format}`, {
    ...{ method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' } },
    source: createReadStream(path).pipe(counting(context, 'Imported')),
  });
  const { sessions } = body as { sessions: { id: string; created: boolean; messages: number }[] };
  const lines = sessions.map(({ id, created, messages: count }) =>
    created ? `Imported ${id}, ${count} messages` : `${id} was there already`,
  );
  return { json: body, text: lines.join('\n') || 'The file holds no session.' };
};

export const remove: Run = async (context, given) => {
  const [id = ''] = given.arguments;
  const message = given.text('message');
  const path = message === undefined ? '' : `/messages/${encodeURIComponent(message)}`;
  await apiOf(context).ask(`${pathOf([id])}${path}`, { method: 'DELETE' });
  return { json: { deleted: message ?? id }, text: `Deleted ${message ?? id}` };
};

function sizeOf(path: string, verb: string): number {
  try {
    const found = statSync(path);
    if (found.isFile()) return found.size;
  } catch (error) {
    throw usage(verb, `${path} cannot be read: ${(error as Error).message}.`, error);
  }
  throw usage(verb, `${path} is no file.`);
}

/** Passes everything on and says how far it is. */
function counting(context: VerbContext, what: string): Transform & { bytes(): number } {
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      context.progress(`${what}: ${sizeText(bytes)}`);
      done(null, chunk);
    },
  });
  return Object.assign(counted, { bytes: () => bytes });
}

function exists(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'export-exists', op: 'export session', target },
    message: `${target} is there already, and nothing is replaced unasked.`,
    hint: 'Name another file, or remove that one.',
  });
}

function broken(cause: unknown): never {
  throw new FactoryError({
    ...{ code: 'export-cut', op: 'export session', retryable: true, cause },
    message: `The export broke off: ${(cause as Error).message}.`,
    hint: 'Nothing was kept. Try again; if it stays, look at the log of the service.',
  });
}
