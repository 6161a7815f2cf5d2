import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tools = fileURLToPath(new URL('tools', import.meta.url));
const VERSION = '3.259.0';

/**
 * The Pulumi command line, built by Go from the modules that test/cloud/tools locks: 30 s of downloads and 6 to 12 minutes of
 * compiling, once. It is kept outside of the checkout by what the lock says. Errors: where Go is missing or cannot.
 */
export function pulumiCli(): string {
  const lock = createHash('sha256')
    .update(readFileSync(join(tools, 'go.sum')))
    .digest('hex')
    .slice(0, 16);
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const program = join(cache, 'build-factory', `pulumi-${lock}`, 'pulumi');
  if (existsSync(program)) return program;
  const folder = mkdtempSync(join(tmpdir(), 'factory-pulumi-'));
  process.stderr.write(`Building Pulumi ${VERSION} from its modules, once: about ten minutes.\n`);
  try {
    cpSync(tools, folder, { recursive: true });
    const flags = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${VERSION}`;
    const built = join(folder, 'pulumi');
    execFileSync(
      'go',
      ['build', '-trimpath', '-ldflags', flags, '-o', built, 'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi'],
      {
        cwd: folder,
        stdio: ['ignore', 'inherit', 'inherit'],
        env: {
          ...process.env,
          PATH: [process.env.PATH ?? '', '/usr/local/go/bin'].join(delimiter),
          CGO_ENABLED: '0',
          GOFLAGS: '-buildvcs=false -mod=readonly',
        },
      },
    );
    mkdirSync(join(program, '..'), { recursive: true });
    cpSync(built, `${program}.${process.pid}`);
    renameSync(`${program}.${process.pid}`, program);
    return program;
  } catch (cause) {
    throw new Error(
      `Pulumi could not be built. Install Go (Debian: golang-go), or put the program at ${program}.`,
      { cause },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
