import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** What others do with the same file and the same server: a careful shell script, and restic. */

/** A bucket that was made, at a server of ours; null: a folder. */
export interface Bucket {
  endpoint: string;
  access: string;
  secret: string;
}

export function installed(...programs: string[]): boolean {
  return programs.every((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0);
}

const bash = (script: string, env: Record<string, string>): ChildProcess =>
  spawn('bash', ['-euo', 'pipefail', '-c', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

const SIGNED =
  '--aws-sigv4 aws:amz:us-east-1:s3 --user "$ACCESS:$SECRET" -H "x-amz-content-sha256: UNSIGNED-PAYLOAD"';
const FETCH = { bucket: `curl -sSf ${SIGNED} "$URL"`, folder: 'cat "$URL"' };
const SEND = {
  bucket: `curl -sSf ${SIGNED} -T "$WORK/data.age" "$URL" >&2`,
  folder: 'cp "$WORK/data.age" "$URL"; sync "$URL"',
};

export interface Shell {
  backup(): ChildProcess;
  restore(): ChildProcess;
}

/** Copy, check, compress, encrypt and send, with the digests of what went in and of what came out; and back again. */
export function shell(database: string, folder: string, bucket: Bucket | null): Shell {
  const work = join(folder, 'shell');
  mkdirSync(work, { recursive: true });
  const kind = bucket === null ? 'folder' : 'bucket';
  const env = {
    ...{ DB: database, WORK: work, ACCESS: bucket?.access ?? '', SECRET: bucket?.secret ?? '' },
    URL: bucket === null ? join(folder, 'shell.age') : `${bucket.endpoint}/bench/shell.age`,
  };
  const check = (file: string): string => `[ "$(sqlite3 "${file}" 'pragma integrity_check')" = ok ]`;
  spawnSync('age-keygen', ['-o', join(work, 'key')]);
  return {
    backup: () =>
      bash(
        `rm -f "$WORK/copy" "$WORK/data.age"
         sqlite3 "$DB" ".backup '$WORK/copy'"
         ${check('$WORK/copy')}
         tee >(sha256sum > "$WORK/plain.sha") < "$WORK/copy" | zstd -q -3 | age -r "$(age-keygen -y "$WORK/key")" |
           tee "$WORK/data.age" | sha256sum > "$WORK/cipher.sha"
         sync "$WORK/data.age"
         ${SEND[kind]}`,
        env,
      ),
    restore: () =>
      bash(
        `rm -f "$WORK/restored"
         ${FETCH[kind]} | tee >(sha256sum > "$WORK/cipher2.sha") | age -d -i "$WORK/key" | zstd -q -d |
           tee "$WORK/restored" | sha256sum > "$WORK/plain2.sha"
         sync "$WORK/restored"
         cmp "$WORK/plain.sha" "$WORK/plain2.sha"; cmp "$WORK/cipher.sha" "$WORK/cipher2.sha"
         ${check('$WORK/restored')}`,
        env,
      ),
  };
}

/** Into a new repository each time, as a full backup; of the file as it lies there, which is no consistent copy. */
export function resticBackup(
  database: string,
  folder: string,
  bucket: Bucket | null,
  turn: number,
): ChildProcess {
  const place =
    bucket === null ? join(folder, `restic-${turn}`) : `s3:${bucket.endpoint}/bench/restic-${turn}`;
  const env = {
    ...{ RESTIC_REPOSITORY: place, RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(folder, 'restic-cache') },
    ...{ AWS_ACCESS_KEY_ID: bucket?.access ?? '', AWS_SECRET_ACCESS_KEY: bucket?.secret ?? '' },
  };
  const made = spawnSync('restic', ['init', '-q'], { env: { ...process.env, ...env }, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`restic cannot make its repository: ${made.stderr}`);
  return spawn('restic', ['backup', '-q', database], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
