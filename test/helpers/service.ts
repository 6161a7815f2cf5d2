import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Role } from '../../service/access/roles.ts';
import { SYSTEM } from '../../service/audit/events.ts';
import { createApp } from '../../service/app.ts';
import type { Clock } from '../../service/clock.ts';
import { parseConfig } from '../../service/config.ts';
import { createContext, type Context, type Overrides } from '../../service/context.ts';
import { listen } from '../../service/listen.ts';
import { createLogger, type Logger } from '../../service/logger.ts';
import { createDatabase } from './postgres.ts';

export interface ServiceOptions {
  /** A folder that is copied, or path below the work-items folder -> text. */
  workItems?: string | Record<string, string>;
  /** Text of `policy.yaml`. */
  policy?: string;
  engine?: 'sqlite' | 'postgres';
  /** Wins over `engine`. */
  databaseUrl?: string;
  env?: Record<string, string>;
  clock?: Clock;
  forge?: Overrides['forge'];
  operations?: Overrides['operations'];
  logger?: Logger;
}

export interface TestService {
  url: string;
  /** A token of the first owner. */
  owner: string;
  context: Context;
  dataDir: string;
  workItemsDir: string;
  /** A token with one role; of a new person with that role unless a person is named. */
  token(options: { role: Role; personId?: string }): Promise<string>;
  /** A one-time link of the first owner, or of a person. */
  loginLink(personId?: string): Promise<string>;
  /** Signs a person in by a link; the `Cookie` header of their browser. */
  cookie(personId?: string): Promise<string>;
  /** Ends the service; its folders go too. */
  close(): Promise<void>;
}

/** The real application on loopback, on a new database and folders of its own. */
export async function startService(options: ServiceOptions = {}): Promise<TestService> {
  const dir = mkdtempSync(join(tmpdir(), 'factory-service-'));
  const workItemsDir = join(dir, 'work-items');
  const dataDir = join(dir, 'data');
  fillQueue(workItemsDir, options);
  const databaseUrl =
    options.databaseUrl ?? (options.engine === 'postgres' ? await createDatabase() : undefined);
  const env = {
    ...{
      FACTORY_PORT: '0',
      FACTORY_DATA_DIR: dataDir,
      FACTORY_WORK_ITEMS_DIR: workItemsDir,
      FACTORY_LOG_LEVEL: 'silent',
      FACTORY_JOBS: 'off',
    },
    ...(databaseUrl === undefined ? {} : { FACTORY_DATABASE_URL: databaseUrl }),
    ...options.env,
  };
  const parsed = parseConfig(env, { cwd: dir });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));

  const { clock, operations, forge = null } = options;
  const context = await createContext(parsed.config, {
    logger: options.logger ?? createLogger('silent'),
    forge,
    ...(clock ? { clock } : {}),
    ...(operations ? { operations } : {}),
  });
  const listening = await listen(createApp(context), parsed.config.listen);
  context.listensOn(listening.url);
  const ownerId = await context.people.ensureOwner();
  await context.start();

  const makeToken = async (role: Role, personId: string): Promise<string> => {
    const made = await context.tokens.create(SYSTEM, {
      name: `${role} token`,
      roles: [role],
      personId,
      expires: null,
    });
    return made.token;
  };
  const loginLink = async (personId?: string): Promise<string> =>
    (await context.people.loginLink(personId)).url;
  return {
    ...{ url: listening.url, context, dataDir, workItemsDir, loginLink },
    owner: await makeToken('owner', ownerId),
    token: async ({ role, personId }) => makeToken(role, personId ?? (await joined(context, role))),
    async cookie(personId) {
      const answer = await fetch(await loginLink(personId), { redirect: 'manual' });
      return (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    },
    async close() {
      await context.feed.close();
      await listening.drain();
      await context.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A person who belongs to the project: agents and pipelines are tokens of a planner. */
async function joined(context: Context, role: Role): Promise<string> {
  const own = role === 'agent' || role === 'ci' ? 'planner' : role;
  return (await context.people.invite(SYSTEM, { name: `A ${own}`, role: own })).id;
}

function fillQueue(folder: string, { workItems = {}, policy }: ServiceOptions): void {
  mkdirSync(folder, { recursive: true });
  if (typeof workItems === 'string') cpSync(workItems, folder, { recursive: true });
  else for (const [path, text] of Object.entries(workItems)) writeInto(join(folder, path), text);
  if (policy !== undefined) writeInto(join(folder, 'policy.yaml'), policy);
}

function writeInto(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The files of one item: its record and, unless null, its prompt. */
export function itemFiles(
  id: string,
  lane: string,
  fields: { title?: string; criteria?: string[]; prompt?: string | null; extra?: string } = {},
): Record<string, string> {
  const { title = `Title of ${id}`, criteria = ['It works.'], prompt = `Do ${id}.`, extra = '' } = fields;
  const list = criteria.map((text) => `  - ${JSON.stringify(text)}\n`).join('');
  const head = `id: ${id}\ntitle: ${JSON.stringify(title)}\nstatus: ${lane}\nworkType: feature\nbranch: feature/${id}\nvalidation: npm test\ncriteria:\n${list}${extra}`;
  return {
    [`${lane}/${id}.md`]: `---\n${head}---\n\nSummary of ${id}.\n`,
    ...(prompt === null ? {} : { [`prompts/${id}.prompt.md`]: prompt }),
  };
}
