import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestProject } from 'vitest/node';

/**
 * versitygw is an S3 server over a folder; no registry has it as a program. Taken from PATH where that is the version
 * that the cases were written against, else from the user's cache, else built by Go into it.
 */
const VERSION = '1.8.0';
const MODULE = `github.com/versity/versitygw/cmd/versitygw@v${VERSION}`;

declare module 'vitest' {
  interface ProvidedContext {
    /** The program, in the project `s3`. */
    versitygw: string;
  }
}

export default function setup(project: TestProject): void {
  project.provide('versitygw', versitygw());
}

/** The program, built where it is not there yet. Errors: where it cannot be. */
export const versitygw = (): string => onPath() ?? fromCache();

function onPath(): string | null {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'versitygw'))
    .find((path) => existsSync(path));
  if (found === undefined) return null;
  // Its own --version does not know: built from a module it says "git". Go wrote the module's version into it.
  const ran = spawnSync('go', ['version', '-m', found], { encoding: 'utf8' });
  return ran.status === 0 && ran.stdout.includes(`\tv${VERSION}\t`) ? found : null;
}

function fromCache(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const program = join(cache, 'build-factory', `versitygw-${VERSION}`, 'versitygw');
  if (existsSync(program)) return program;
  const folder = mkdtempSync(join(tmpdir(), 'factory-versitygw-'));
  process.stderr.write(`Building ${MODULE}, once: about three minutes.\n`);
  try {
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOBIN: folder };
    execFileSync('go', ['install', MODULE], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    mkdirSync(join(program, '..'), { recursive: true });
    copyFileSync(join(folder, 'versitygw'), `${program}.${process.pid}`);
    renameSync(`${program}.${process.pid}`, program);
    return program;
  } catch (cause) {
    const why =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'Go is not on this machine' : 'Go could not';
    throw new Error(
      `versitygw ${VERSION} could not be built: ${why}. Install Go (Debian: golang-go), or put the program at ${program}.`,
      { cause },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
