import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { parseConfig } from './config.ts';
import type { Config, ConfigProblem, Environment } from './config.ts';
import { SECRETS } from './config-names.ts';

function reason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES') return 'may not be read by this user';
  if (code === 'EISDIR') return 'is a folder';
  return `cannot be read (${code ?? String(error)})`;
}

/**
 * Set in the environment of a service's own children: `.env` was read by the service, and a line that was changed since counts
 * from its next start on, for all of it at once.
 */
export const DOT_ENV_READ = 'BUILD_FACTORY_DOT_ENV_READ';

/**
 * Large pieces of memory go back to the system at once (glibc; what the operator set is kept): without it a backup of 1 GiB
 * holds 25 MiB more. The launcher sets the same where it starts another Node.
 */
const LEAN_MEMORY: Environment = { MALLOC_MMAP_THRESHOLD_: '131072' };

/** The variables that a service's children get: what `.env` says now, below the real ones. */
export function childEnv(cwd: string, env: Environment): Environment {
  return { ...LEAN_MEMORY, ...readDotEnv(cwd, env, []), ...env, [DOT_ENV_READ]: 'yes' };
}

function readDotEnv(cwd: string, env: Environment, problems: ConfigProblem[]): Environment {
  if (env[DOT_ENV_READ] !== undefined) return {};
  try {
    return parseEnv(readFileSync(join(cwd, '.env'), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    problems.push({
      name: '.env',
      message: `.env ${reason(error)}.`,
      hint: 'Make it a readable file, or remove it.',
    });
    return {};
  }
}

/** Replaces `<NAME>_FILE` by `<NAME>` with the file's text, line breaks at its end cut off. */
function readSecrets(env: Record<string, string | undefined>, cwd: string, problems: ConfigProblem[]): void {
  for (const secret of SECRETS) {
    const name = `${secret}_FILE`;
    const path = env[name];
    delete env[name];
    if (path === undefined || path === '') continue;
    if ((env[secret] ?? '') !== '') {
      problems.push({ name, message: `${secret} is set too.`, hint: 'Keep one of the two.' });
      continue;
    }
    try {
      env[secret] = readFileSync(resolve(cwd, path), 'utf8').replace(/[\r\n]+$/, '');
    } catch (error) {
      problems.push({
        name,
        message: `The file ${path} ${reason(error)}.`,
        hint: `Write ${secret} into it.`,
      });
    }
  }
}

/**
 * The environment as `parseConfig` takes it: `.env` of the working folder below the real variables, secrets read from
 * their files. Reads files; changes nothing.
 */
export function loadEnv(cwd: string, env: Environment): { env: Environment; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const merged = { ...readDotEnv(cwd, env, problems), ...env };
  readSecrets(merged, cwd, problems);
  return { env: merged, problems };
}

/** Keys of clouds that stand in `.env` beside ours, under the names that their own tools give them. */
export function cloudKeys(cwd: string, env: Environment): Environment {
  const entries = Object.entries(readDotEnv(cwd, env, []));
  return Object.fromEntries(entries.filter(([name]) => name.startsWith('AWS_')));
}

/** Loads and parses: the configuration, or every problem of the files and of the values at once. */
export function loadConfig(
  cwd: string,
  env: Environment,
): { config: Config } | { problems: ConfigProblem[] } {
  const loaded = loadEnv(cwd, env);
  const parsed = parseConfig(loaded.env, { cwd });
  const problems = [...loaded.problems, ...('problems' in parsed ? parsed.problems : [])];
  return problems.length > 0 || 'problems' in parsed ? { problems } : parsed;
}

/** One line per problem, `NAME: what is wrong. What to write.`, for a terminal. */
export function problemLines(problems: readonly ConfigProblem[]): string {
  return problems.map(({ name, message, hint }) => `${name}: ${message} ${hint}\n`).join('');
}
