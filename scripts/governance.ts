import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createApi, type Api, type ApiCall } from './lib/client.ts';
import { usage } from './lib/failure.ts';
import {
  erasurePlanText,
  coveredText,
  erasuresText,
  erasureText,
  grantsText,
  holdsText,
  policyHistoryText,
  rotationText,
} from './lib/governance-text.ts';
import type {
  Erasure,
  ErasurePlan,
  Grant,
  Hold,
  PlacedHold,
  PolicyVersion,
  Rotation,
} from './lib/governance-text.ts';
import { toNewFile, toStdout, type Output } from './lib/output.ts';
import { plansText, planText, type Plan } from './lib/retention-text.ts';
import { readConfig } from './lib/settings.ts';
import { pointInTime } from './lib/time.ts';
import { EXIT, type Answer, type Given, type Run, type VerbContext } from './lib/verb.ts';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
interface Person {
  id: string;
  name: string;
  status: string;
}

const GOVERNANCE = '/api/governance';
const apiOf = (context: VerbContext): Api => createApi(readConfig(context));
const segment = encodeURIComponent;

async function ask<T>(context: VerbContext, path: string, call?: ApiCall): Promise<T> {
  return (await apiOf(context).ask(`${GOVERNANCE}${path}`, call)).body as T;
}

const post = <T>(context: VerbContext, path: string, body: object = {}): Promise<T> =>
  ask<T>(context, path, { method: 'POST', body });

/** Of options that were given. */
function queryOf(given: Given, parameters: Record<string, string>): string {
  const query = new URLSearchParams();
  for (const [parameter, option] of Object.entries(parameters)) {
    const value = given.text(option);
    if (value !== undefined) query.set(parameter, value);
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}

function more(context: VerbContext, { nextCursor }: { nextCursor: string | null }): void {
  if (nextCursor !== null) context.say(`There are more: --cursor ${nextCursor}`);
}

const room = (context: VerbContext): number | null => context.stdout.columns ?? null;

interface PoliciesAnswer {
  pending: { effectiveAt: string } | null;
}

export const policies: Run = async (context, given) => {
  const file = given.text('set');
  if (given.flag('history')) {
    if (file !== undefined) throw usage('governance policies', 'Either --history or --set.');
    const page = await ask<{ versions: PolicyVersion[]; nextCursor: string | null }>(
      context,
      `/policies/versions${queryOf(given, { limit: 'limit', cursor: 'cursor' })}`,
    );
    more(context, page);
    return { json: page, text: policyHistoryText(page.versions) };
  }
  if (given.text('limit') !== undefined || given.text('cursor') !== undefined)
    throw usage('governance policies', '--limit and --cursor go with --history.');
  if (file !== undefined && given.flag('takeBack'))
    throw usage('governance policies', 'Give --set or --take-back, not both.');
  const call = (): Promise<PoliciesAnswer> => {
    if (given.flag('takeBack')) return ask(context, '/policies/pending', { method: 'DELETE' });
    if (file === undefined) return ask(context, '/policies');
    return ask(context, '/policies', { method: 'PUT', body: readJson(context, file) });
  };
  const body = await call();
  if (body.pending)
    context.say(
      `Break-glass stays in force until ${body.pending.effectiveAt}, and then goes off. Another owner who sets the same switches it off at once (team preset); an owner takes it back by --take-back.`,
    );
  return { json: body, text: JSON.stringify(body, null, 2) };
};

function readJson(context: VerbContext, file: string): unknown {
  try {
    return JSON.parse(readFileSync(resolve(context.cwd, file), 'utf8'));
  } catch (error) {
    throw usage('governance policies', `--set ${file} cannot be read: ${(error as Error).message}.`, error);
  }
}

export const holds: Run = async (context, given) => {
  const release = given.text('release');
  if (release !== undefined) {
    await ask(context, `/holds/${segment(release)}`, { method: 'DELETE' });
    return { json: { released: release }, text: `Released ${release}; nothing was deleted by that.` };
  }
  const reason = given.text('reason');
  if (reason === undefined) return listHolds(context, given);
  const on = { subjectId: 'subject', sessionId: 'session', class: 'class', from: 'from', to: 'to' };
  const hold = await post<PlacedHold>(context, '/holds', { reason, ...bodyOf(given, on) });
  context.say(coveredText(hold));
  return { json: hold, text: holdsText([hold], room(context)) };
};

async function listHolds(context: VerbContext, given: Given): Promise<Answer> {
  const filters = ['subject', 'session', 'class', 'from', 'to'].filter(
    (name) => given.text(name) !== undefined,
  );
  if (filters.length > 0)
    throw usage('governance holds', `--${filters[0]} places a hold, and that takes --reason.`);
  const query = queryOf(given, { cursor: 'cursor', limit: 'limit' });
  const released = given.flag('released') ? `${query === '' ? '?' : '&'}released=true` : '';
  const body = await ask<{ holds: Hold[]; nextCursor: string | null }>(context, `/holds${query}${released}`);
  more(context, body);
  return { json: body, text: holdsText(body.holds, room(context)) };
}

function bodyOf(given: Given, members: Record<string, string>): Record<string, string> {
  const body: Record<string, string> = {};
  for (const [member, option] of Object.entries(members)) {
    const value = given.text(option);
    if (value !== undefined) body[member] = value;
  }
  return body;
}

export const erasures: Run = async (context, given) => {
  const [id] = given.arguments;
  const [subjectId, reason] = [given.text('subject'), given.text('reason')];
  if (given.flag('plan')) {
    if (subjectId === undefined || id !== undefined)
      throw usage('governance erasures', 'A plan is of a subject: give --plan with --subject, and no id.');
    const plan = await post<ErasurePlan>(context, '/erasure-plans', { subjectId });
    return { json: plan, text: erasurePlanText(plan, room(context)) };
  }
  if (subjectId !== undefined || reason !== undefined) {
    if (subjectId === undefined || reason === undefined || id !== undefined)
      throw usage('governance erasures', 'To have a subject erased, give --subject and --reason, and no id.');
    const made = await post<Erasure>(context, '/erasures', { subjectId, reason });
    return erasureAnswer(made);
  }
  if (id !== undefined) return erasureAnswer(await ask<Erasure>(context, `/erasures/${segment(id)}`));
  const query = queryOf(given, { cursor: 'cursor', limit: 'limit' });
  const body = await ask<{ erasures: Erasure[]; nextCursor: string | null }>(context, `/erasures${query}`);
  more(context, body);
  return { json: body, text: erasuresText(body.erasures, room(context)) };
};

function erasureAnswer(erasure: Erasure): Answer {
  const exit = erasure.status === 'partial-held' ? EXIT.degraded : EXIT.done;
  return { json: erasure, text: erasureText(erasure), exit };
}

export const keys: Run = async (context, given) => {
  const rotation = given.flag('rotate')
    ? await post<Rotation>(context, '/key-rotation')
    : (await ask<{ rotation: Rotation | null }>(context, '/key-rotation')).rotation;
  const exit = rotation !== null && rotation.unreadable > 0 ? EXIT.degraded : EXIT.done;
  return { json: { rotation }, text: rotationText(rotation), exit };
};

export const report: Run = async (context, given) => {
  const [subject = ''] = given.arguments;
  const to = given.text('to');
  if (to === undefined && context.json) throw usage('governance report', '--json takes --to FILE.');
  const path = to === undefined ? null : resolve(context.cwd, to);
  const query = new URLSearchParams({ subjectId: subject }).toString();
  const content = await apiOf(context).open(`${GOVERNANCE}/subjects/report?${query}`);
  const write = async (output: Output): Promise<void> => {
    for await (const chunk of content) if (!(await output.write(chunk as Buffer))) return;
  };
  if (path === null) {
    await write(toStdout(context.stdout));
    return null;
  }
  await toNewFile(path, 'report on subject', write);
  return { json: { path }, text: `Everything about this subject is in ${path}` };
};

export const retention: Run = async (context, given) => {
  const [id] = given.arguments;
  const digest = given.text('apply');
  const of = `/retention-plans/${segment(id ?? '')}`;
  if (given.flag('plan')) return planAnswer(await post<Plan>(context, '/retention-plans'));
  if (id === undefined) {
    if (digest !== undefined || given.flag('undo'))
      throw usage(
        'governance retention',
        'Name the plan: governance retention ID --apply DIGEST, or ID --undo.',
      );
    return listPlans(context, given);
  }
  if (digest !== undefined) return planAnswer(await post<Plan>(context, `${of}/apply`, { digest }));
  if (given.flag('undo')) return planAnswer(await ask<Plan>(context, `${of}/undo`, { method: 'POST' }));
  return planAnswer(await ask<Plan>(context, of));
};

async function listPlans(context: VerbContext, given: Given): Promise<Answer> {
  const query = queryOf(given, { cursor: 'cursor', limit: 'limit' });
  const body = await ask<{ plans: Plan[]; nextCursor: string | null }>(context, `/retention-plans${query}`);
  more(context, body);
  return { json: body, text: plansText(body.plans, room(context)) };
}

const planAnswer = (plan: Plan): Answer => ({ json: plan, text: planText(plan) });

export const grants: Run = async (context, given) => {
  const revoke = given.text('revoke');
  if (revoke !== undefined) {
    await ask(context, `/grants/${segment(revoke)}`, { method: 'DELETE' });
    return { json: { revoked: revoke }, text: `Ended ${revoke}` };
  }
  for (const verdict of ['approve', 'refuse']) {
    const id = given.text(verdict);
    if (id !== undefined)
      return grantAnswer(
        context,
        await ask<Grant>(context, `/grants/${segment(id)}/${verdict}`, { method: 'POST' }),
      );
  }
  if (given.text('reason') !== undefined || given.flag('breakGlass')) return makeGrant(context, given);
  const all = queryOf(given, { sessionId: 'session', cursor: 'cursor', limit: 'limit' });
  const query = given.flag('open') ? `${all === '' ? '?' : `${all}&`}open=true` : all;
  const body = await ask<{ grants: Grant[]; nextCursor: string | null }>(context, `/grants${query}`);
  more(context, body);
  return { json: body, text: grantsText(body.grants, room(context)) };
};

async function makeGrant(context: VerbContext, given: Given): Promise<Answer> {
  const kind = given.flag('breakGlass') ? 'break-glass' : 'session';
  const body = bodyOf(given, { sessionId: 'session', grantee: 'to', reason: 'reason' });
  const missing = kind === 'session' ? ['session', 'to', 'until', 'reason'] : ['until', 'reason'];
  const absent = missing.find((name) => given.text(name) === undefined);
  if (absent !== undefined) throw usage('governance grants', `--${absent} is needed for that.`);
  const expiresAt = pointInTime('governance grants', given.text('until') ?? '', {
    ...{ flag: 'until', span: 'from now', now: Date.now() },
  });
  const to = body['grantee'];
  if (to !== undefined) body['grantee'] = await granteeOf(context, to);
  return grantAnswer(context, await post<Grant>(context, '/grants', { kind, ...body, expiresAt }));
}

/** Id of a person who is named by it or, where only one has it, by name. Errors: `usage`. */
async function granteeOf(context: VerbContext, named: string): Promise<string> {
  if (named === 'team' || ID.test(named)) return named;
  const { people } = (await apiOf(context).ask('/api/people')).body as { people: Person[] };
  const active = people.filter(({ status }) => status === 'active');
  const is = (name: string): boolean => name.toLowerCase() === named.toLowerCase();
  const found = active.filter(({ name }) => name === named);
  const near = found.length > 0 ? found : active.filter(({ name }) => is(name));
  if (near.length === 1) return near[0]!.id;
  const each = (some: Person[]): string => some.map(({ id, name }) => `${name} (${id})`).join(', ');
  throw usage(
    'governance grants',
    near.length === 0
      ? `--to: nobody here has the name "${named}". There are team and ${each(active)}.`
      : `--to: ${near.length} people have the name "${named}": ${each(near)}. Give the id.`,
  );
}

const grantAnswer = (context: VerbContext, grant: Grant): Answer => ({
  json: grant,
  text: grantsText([grant], room(context)),
});
