import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { asFactoryError, FactoryError } from '../service/errors.ts';
import { createApi, type Api } from './lib/client.ts';
import { usage } from './lib/failure.ts';
import { counted } from './lib/layout.ts';
import { toNewFile, toStdout, type Output } from './lib/output.ts';
import type { Session, SessionPage } from './lib/session-text.ts';
import { readConfig } from './lib/settings.ts';
import { sizeText } from './lib/size.ts';
import { EXIT, type Run, type VerbContext } from './lib/verb.ts';

const VERB = 'sessions export';
const OP = 'export session';
const SESSIONS = '/api/sessions';

export const exportSessions: Run = async (context, given) => {
  const [id] = given.arguments;
  if ((id !== undefined) === given.flag('all')) throw usage(VERB, 'Name a session, or give --all for all.');
  const to = given.text('to');
  if (to === undefined && context.json) throw usage(VERB, '--json takes --to FILE.');
  const exporting: Exporting = {
    ...{ api: createApi(readConfig(context)), context, format: given.text('format') ?? 'jsonl' },
  };
  const path = to === undefined ? null : resolve(context.cwd, to);
  const write = async <T>(fill: (output: Output) => Promise<T>): Promise<T> =>
    path === null ? fill(toStdout(context.stdout)) : toNewFile(path, OP, fill);
  return id === undefined ? all(exporting, path, write) : one(exporting, id, path, write);
};

const HIDDEN = new Set(['not-found', 'permission-missing']);
const FINAL = new Set(['unreachable', 'export-unwritable']);

interface Exporting {
  api: Api;
  context: VerbContext;
  format: string;
}
type Write = <T>(fill: (output: Output) => Promise<T>) => Promise<T>;

async function one(exporting: Exporting, id: string, path: string | null, write: Write) {
  const { format, context } = exporting;
  const content = await contentOf(exporting, id);
  const bytes = await write(async (output) => {
    await copy(content, output, () => context.progress(`Exported: ${sizeText(output.bytes)}`));
    return output.bytes;
  });
  if (path === null) return null;
  return { json: { id, format, path, bytes }, text: `Exported ${id} to ${path}, ${sizeText(bytes)}` };
}

/** The newest first. One that cannot be exported does not keep the others back; it is named. */
async function all(exporting: Exporting, path: string | null, write: Write) {
  const { format, context } = exporting;
  const passedOver: { id: string; why: string }[] = [];
  let hidden = 0;
  const done = await write(async (output) => {
    let count = 0;
    for await (const { id, subjectId } of sessionsOf(exporting.api)) {
      const progress = (): void =>
        context.progress(`Exported ${counted(count, 'session')}: ${sizeText(output.bytes)}`);
      const begun = output.bytes;
      try {
        if (!(await copy(await contentOf(exporting, id), output, progress))) return null;
        count += 1;
      } catch (thrown) {
        const error = asFactoryError(thrown, OP);
        // Without the service or the disk nothing more comes; of what stdout took, nothing can be taken back.
        if (FINAL.has(error.code) || !(await output.backTo(begun))) throw error;
        // Who sees that a session is there, and not what it says, is told no subject.
        if (subjectId === null && HIDDEN.has(error.code)) hidden += 1;
        else passedOver.push({ id, why: error.message });
      }
    }
    return { sessions: count, bytes: output.bytes };
  });
  if (done === null) return null;
  const { sessions, bytes } = done;
  if (hidden > 0) context.say(`Not for you to read: ${counted(hidden, 'session')}`);
  for (const { id, why } of passedOver) context.say(`Not exported: ${id}: ${why}`);
  const exit = passedOver.length > 0 ? EXIT.degraded : EXIT.done;
  if (path === null) {
    context.say(`Exported ${counted(sessions, 'session')}, ${sizeText(bytes)}`);
    return { json: null, text: '', printed: true as const, exit };
  }
  return {
    json: { format, path, sessions, bytes, hidden, passedOver },
    text: `Exported ${counted(sessions, 'session')} to ${path}, ${sizeText(bytes)}`,
    exit,
  };
}

async function* sessionsOf(api: Api): AsyncGenerator<Pick<Session, 'id' | 'subjectId'>> {
  for (let cursor: string | null = ''; cursor !== null;) {
    const query = new URLSearchParams({ limit: '200', ...(cursor && { cursor }) }).toString();
    const page = (await api.ask(`${SESSIONS}?${query}`)).body as SessionPage;
    yield* page.sessions;
    cursor = page.nextCursor;
  }
}

const contentOf = ({ api, format }: Exporting, id: string): Promise<Readable> =>
  api.open(`${SESSIONS}/${encodeURIComponent(id)}/export?format=${format}`);

/** False: nobody reads it any more. */
async function copy(content: Readable, output: Output, progress: () => void): Promise<boolean> {
  try {
    for await (const chunk of content) {
      if (!(await output.write(chunk as Buffer))) return false;
      progress();
    }
    return true;
  } catch (cause) {
    if (cause instanceof FactoryError) throw cause;
    throw new FactoryError({
      ...{ code: 'export-cut', op: OP, retryable: true, cause },
      message: `The export broke off: ${(cause as Error).message}.`,
      hint: 'Nothing was kept. Try again; if it stays, look at the log of the service.',
    });
  }
}
