import { randomBytes } from 'node:crypto';
import { runFactory } from '../../scripts/lib/program.ts';
import { settleRestores } from '../../scripts/lib/restore/put-back.ts';
import { loadConfig } from '../../service/config-load.ts';
import { startService } from '../../service/main.ts';
import { Sink } from '../acceptance/backup-lab.ts';
import { callerOf } from './client.ts';
import type { Caller } from './client.ts';
import type { Place } from './service.ts';

/** Files of conversations, as callers of a service in this process add and read them. */

export interface Added {
  session: string;
  file: string;
}

export interface Files {
  call: Caller;
  /** Adds a file to a new session; answers both ids. */
  add(content: Buffer): Promise<Added>;
  /** Its status, and its content. */
  get(added: Added): Promise<[number, string]>;
  /** Deletes the session, and with it the file. */
  remove(added: Added): Promise<void>;
}

export const randomText = (size = 3000): Buffer => Buffer.from(randomBytes(size / 2).toString('hex'));

/** Starts the service as its next start finds everything, and stops it afterwards; `work` gets its address. */
export async function served<T>({ dir, env }: Place, work: (url: string) => Promise<T>): Promise<T> {
  const loaded = loadConfig(dir, { ...env, FACTORY_LOG_LEVEL: 'silent' });
  if (!('config' in loaded)) throw new Error(JSON.stringify(loaded.problems));
  await settleRestores(loaded.config, () => undefined);
  const service = await startService(loaded.config);
  try {
    return await work(service.listening.url);
  } finally {
    await service.close();
  }
}

export const attached = <T>(place: Place, work: (files: Files) => Promise<T>): Promise<T> =>
  served(place, async (url) => work(filesOf(callerOf(() => url, await newToken(place.dir, place.env)))));

async function newToken(cwd: string, env: Record<string, string>): Promise<string> {
  const stdout = new Sink();
  const argv = ['token', 'create', '--name', 'files', '--role', 'owner', '--json'];
  await runFactory(argv, { cwd, env, stdout, stderr: new Sink() });
  return (JSON.parse(stdout.text) as { token: string }).token;
}

function filesOf(call: Caller): Files {
  const made = (status: number, what: string): void => {
    if (status !== 201 && status !== 204) throw new Error(`${what} was answered with ${status}`);
  };
  return {
    call,
    async add(content) {
      const { body: session } = await call.post('/api/sessions', { title: 'With a file' });
      const headers = { 'content-type': 'application/octet-stream' };
      const body = new Uint8Array(content);
      const sent = await call.send('POST', `/api/sessions/${session.id}/attachments`, { headers, body });
      made(sent.status, 'a file');
      const parts = [{ type: 'attachment', attachmentId: sent.body.id }];
      const named = await call.post(`/api/sessions/${session.id}/messages`, { role: 'user', parts });
      made(named.status, 'a message');
      return { session: session.id, file: sent.body.id };
    },
    async get({ session, file }) {
      const { status, text } = await call.get(`/api/sessions/${session}/attachments/${file}`);
      return [status, text];
    },
    async remove({ session }) {
      made((await call.send('DELETE', `/api/sessions/${session}`)).status, 'a deletion');
    },
  };
}
