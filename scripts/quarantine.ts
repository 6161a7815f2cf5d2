import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createApi, type ApiCall } from './lib/client.ts';
import { usage } from './lib/failure.ts';
import { quarantinedText, quarantineText, type Quarantined } from './lib/governance-text.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT, type Answer, type Given, type Run, type VerbContext } from './lib/verb.ts';

/** `governance quarantine`: what is held back until people decide. */

const QUARANTINE = '/api/governance/quarantine';
const VERB = 'governance quarantine';

async function ask<T>(context: VerbContext, path: string, call?: ApiCall): Promise<T> {
  return (await createApi(readConfig(context)).ask(`${QUARANTINE}${path}`, call)).body as T;
}

const room = (context: VerbContext): number | null => context.stdout.columns ?? null;

export const quarantine: Run = async (context, given) => {
  const [act = 'list', id] = given.arguments;
  if (act === 'list' && id === undefined) return list(context, given);
  if (!['show', 'release', 'reject'].includes(act))
    throw usage(VERB, `It takes list, show ID, release ID or reject ID, not ${[act, id].join(' ').trim()}.`);
  if (id === undefined) throw usage(VERB, `Name what waits: ${VERB} ${act} ID.`);
  if (act === 'show') return show(context, given, id);
  const reason = given.text('reason');
  if (reason === undefined) throw usage(VERB, `${act} takes --reason.`);
  const path = `/${encodeURIComponent(id)}/${act}`;
  const asked = await ask<Quarantined | null>(context, path, { method: 'POST', body: { reason } });
  if (act === 'reject') return { json: { rejected: id }, text: `Removed the original of ${id} for good.` };
  if (asked === null || asked.state === undefined)
    return { json: { released: id }, text: `Let ${id} in: it stands in its session now.` };
  return { json: asked, text: quarantinedText(asked), exit: EXIT.degraded };
};

async function list(context: VerbContext, given: Given): Promise<Answer> {
  const query = new URLSearchParams();
  for (const name of ['limit', 'cursor']) {
    const value = given.text(name);
    if (value !== undefined) query.set(name, value);
  }
  const path = query.size === 0 ? '' : `?${query.toString()}`;
  const body = await ask<{ quarantined: Quarantined[]; nextCursor: string | null }>(context, path);
  if (body.nextCursor !== null) context.say(`There are more: --cursor ${body.nextCursor}`);
  return { json: body, text: quarantineText(body.quarantined, room(context)) };
}

async function show(context: VerbContext, given: Given, id: string): Promise<Answer> {
  const one = await ask<Quarantined>(context, `/${encodeURIComponent(id)}`);
  if (!given.flag('original')) return { json: one, text: quarantinedText(one) };
  const original = await ask<object>(context, `/${encodeURIComponent(id)}/original`);
  const output = given.text('output');
  if (output !== undefined) await save(context, id, resolve(context.cwd, output));
  const text = `${quarantinedText(one)}\n${JSON.stringify(original, null, 2)}`;
  return { json: { ...one, original, ...(output === undefined ? {} : { output }) }, text };
}

/** The content of a file, into one that is not there yet. */
async function save(context: VerbContext, id: string, path: string): Promise<void> {
  const content = await createApi(readConfig(context)).open(
    `${QUARANTINE}/${encodeURIComponent(id)}/original/content`,
  );
  await pipeline(content, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
  context.say(`Wrote ${path}.`);
}
