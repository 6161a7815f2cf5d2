import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { FactoryError } from '../service/errors.ts';
import type {
  ActionResult,
  ActionsDocument,
  ItemDocument,
  ItemSummary,
} from '../service/work-items/documents.ts';
import { isItemId } from '../service/work-items/record-text.ts';
import { assertInput } from './lib/action-input.ts';
import { actionsText, resultText } from './lib/action-text.ts';
import { createApi } from './lib/client.ts';
import type { Api, ApiAnswer } from './lib/client.ts';
import { usage } from './lib/failure.ts';
import { itemText, listText } from './lib/item-text.ts';
import { readConfig } from './lib/settings.ts';
import type { Given, Run } from './lib/verb.ts';

const ITEMS = '/api/control-plane/items';
const itemPath = (id: string): string => `${ITEMS}/${encodeURIComponent(id)}`;

/** The item that was named by its id or, as the board prints it, by its key: `BF-106` is `wi-BF-106`. */
export function itemId([named = '']: readonly string[]): string {
  return !isItemId(named) && isItemId(`wi-${named}`) ? `wi-${named}` : named;
}

export const list: Run = async (context, given) => {
  const query = new URLSearchParams();
  const parameters = { lane: 'lane', q: 'query', limit: 'limit', cursor: 'cursor' };
  for (const [parameter, option] of Object.entries(parameters)) {
    const value = given.text(option);
    if (value !== undefined) query.set(parameter, value);
  }
  const { body } = await createApi(readConfig(context)).ask(`${ITEMS}?${query.toString()}`);
  const { items, nextCursor } = body as { items: ItemSummary[]; nextCursor: string | null };
  if (nextCursor !== null) context.say(`There are more: --cursor ${nextCursor}`);
  return { json: body, text: listText(items, context.stdout.columns ?? null) };
};

export const show: Run = async (context, given) => {
  const api = createApi(readConfig(context));
  const id = itemId(given.arguments);
  const { body } = await api.ask(itemPath(id));
  if (context.json) return { json: body, text: '' };
  const actions = await api.ask(`${itemPath(id)}/actions`);
  const text = `${itemText(body as ItemDocument)}\n\n${actionsText(id, actions.body as ActionsDocument)}`;
  return { json: body, text };
};

export const actions: Run = async (context, given) => {
  const id = itemId(given.arguments);
  const all = given.flag('all') ? '?all=true' : '';
  const { body } = await createApi(readConfig(context)).ask(`${itemPath(id)}/actions${all}`);
  return { json: body, text: actionsText(id, body as ActionsDocument) };
};

export const act: Run = async (context, given) => {
  const id = itemId(given.arguments);
  const [, identity = ''] = given.arguments;
  const input = readInput(given.text('input'), context.cwd);
  assertInput(id, identity, input);
  const api = createApi(readConfig(context));
  const key = given.text('idempotencyKey') ?? randomUUID();
  const headers = { 'If-Match': await versionTag(api, id, given), 'Idempotency-Key': key };
  const decisionId = given.text('decision');
  const body = { ...(decisionId !== undefined && { decisionId }), ...(input !== undefined && { input }) };
  const path = `${itemPath(id)}/actions/${identity}${given.flag('dryRun') ? '?dryRun=true' : ''}`;
  const answer = await posted(api, path, { headers, body }, key);
  return { json: answer.body, text: resultText(answer.body as ActionResult, input !== undefined) };
};

/** `If-Match` of the version that was named, else of the item as it is now. */
async function versionTag(api: Api, id: string, given: Given): Promise<string> {
  const named = given.text('ifMatch');
  if (named === undefined) return (await api.ask(itemPath(id))).etag ?? '*';
  return named.startsWith('"') ? named : `"${named}"`;
}

/** JSON, or `@FILE` with it. Errors: `usage`. */
export function readInput(text: string | undefined, cwd: string): unknown {
  if (text === undefined) return undefined;
  const verb = 'items act';
  let content = text;
  if (text.startsWith('@')) {
    try {
      content = readFileSync(resolve(cwd, text.slice(1)), 'utf8');
    } catch (error) {
      throw usage(verb, `--input ${text} cannot be read: ${(error as Error).message}.`, error);
    }
  }
  try {
    return JSON.parse(content);
  } catch (error) {
    throw usage(verb, `--input is no JSON: ${(error as Error).message}.`, error);
  }
}

/** A request without an answer may have been carried out: only the same key can repeat it safely. */
async function posted(api: Api, path: string, call: object, key: string): Promise<ApiAnswer> {
  try {
    return await api.ask(path, { method: 'POST', ...call });
  } catch (error) {
    if (!(error instanceof FactoryError) || error.code !== 'unreachable') throw error;
    const { code, op, target, message, retryable } = error;
    const hint = `It may have been done all the same: repeat it with --idempotency-key ${key}`;
    throw new FactoryError({ code, op, target: target ?? undefined, message, retryable, hint, cause: error });
  }
}
