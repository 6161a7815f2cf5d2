import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A program that no registry has, but whose module Go builds. */
export interface GoProgram {
  /** Its file. */
  name: string;
  /** The package of its main function, without a version. */
  module: string;
  /** As cases were written against it: `1.8.0`. */
  version: string;
}

/**
 * Its path: taken from PATH where that is the version, else from the user's cache, else built by Go into it, which takes some
 * minutes. Errors: where it cannot be.
 */
export const goProgram = (program: GoProgram): string => onPath(program) ?? fromCache(program);

/** Where Go's own installer puts it. */
const PATH = [process.env.PATH ?? '', '/usr/local/go/bin'].join(delimiter);

function onPath({ name, version }: GoProgram): string | null {
  const found = PATH.split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (found === undefined) return null;
  // Built from a module, a program does not know its version itself. Go wrote the module's into it.
  const ran = spawnSync('go', ['version', '-m', found], { encoding: 'utf8', env: { ...process.env, PATH } });
  return ran.status === 0 && ran.stdout.includes(`\tv${version}\t`) ? found : null;
}

function fromCache({ name, module, version }: GoProgram): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const program = join(cache, 'build-factory', `${name}-${version}`, name);
  if (existsSync(program)) return program;
  const folder = mkdtempSync(join(tmpdir(), `factory-${name}-`));
  process.stderr.write(`Building ${module}@v${version}, once: about three minutes.\n`);
  try {
    const env = { ...process.env, PATH, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOBIN: folder };
    execFileSync('go', ['install', `${module}@v${version}`], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    mkdirSync(join(program, '..'), { recursive: true });
    copyFileSync(join(folder, builtName(module)), `${program}.${process.pid}`);
    renameSync(`${program}.${process.pid}`, program);
    return program;
  } catch (cause) {
    const why =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'Go is not on this machine' : 'Go could not';
    throw new Error(
      `${name} ${version} could not be built: ${why}. Install Go (Debian: golang-go), or put the program at ${program}.`,
      { cause },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As `go install` names it: the package's last element that is no major version. */
const builtName = (module: string): string =>
  module.split('/').findLast((one) => !/^v\d+$/.test(one)) ?? module;
