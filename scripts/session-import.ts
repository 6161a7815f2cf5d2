import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { FactoryError } from '../service/errors.ts';
import { createApi } from './lib/client.ts';
import { counting, sizeOf } from './lib/files.ts';
import { counted, plain } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import type { Run, VerbContext } from './lib/verb.ts';

interface Imported {
  id: string;
  created: boolean;
  messages: number;
  dropped?: string[];
}

const OPTIONS = { title: 'title', class: 'class', subjectId: 'subject', fromLine: 'fromLine' };

export const importSessions: Run = async (context, given) => {
  const [named = ''] = given.arguments;
  const path = resolve(context.cwd, named);
  sizeOf(path, 'sessions import');
  const query = new URLSearchParams({ format: given.text('format') ?? 'jsonl' });
  for (const [parameter, option] of Object.entries(OPTIONS)) {
    const value = given.text(option);
    if (value !== undefined) query.set(parameter, value);
  }
  const api = createApi(readConfig(context));
  const { body } = await api
    .ask(`/api/sessions/import?${query.toString()}`, {
      ...{ method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' } },
      source: createReadStream(path).pipe(counting(context, 'Imported')),
    })
    .catch((error: unknown) => told(context, error));
  const { sessions } = body as { sessions: Imported[] };
  return { json: body, text: sessions.map(lineOf).join('\n') || 'The file holds no session.' };
};

function lineOf({ id, created, messages, dropped = [] }: Imported): string {
  if (!created) return `${id} was there already`;
  const left = dropped.length === 0 ? '' : `; without ${plain(dropped.join(', '))}, which has no place here`;
  return `Imported ${id}, ${counted(messages, 'message')}${left}`;
}

/** What was kept before it ended is said with the error: it stays, and comes no second time. */
function told(context: VerbContext, error: unknown): never {
  if (!(error instanceof FactoryError)) throw error;
  const { imported, fromLine } = error.details;
  for (const { id } of Array.isArray(imported) ? (imported as { id: string }[]) : [])
    context.say(`Kept ${id}`);
  if (typeof fromLine === 'number') context.say(`Kept nothing from line ${fromLine} on.`);
  // Without an answer nobody knows how far it came.
  if (error.code === 'unreachable')
    context.say('If it had begun, the sessions before were kept: `npx factory sessions list` shows them.');
  throw error;
}
