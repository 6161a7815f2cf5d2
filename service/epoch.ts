import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from './config.ts';
import { FactoryError } from './errors.ts';
import { prepareKeyring } from './keyring.ts';
import { lastEpoch } from './plausible.ts';
import { replaceFile } from './replace-file.ts';

/**
 * The epoch of an installation: it grows with each restore in place and its undo. It lies in the keyring folder, outside
 * the database, because a database that is put back must not bring an old one with it.
 *
 *   epoch     0 until the first restore in place
 *   since     the first sequence of a backup in it: what an older epoch uploads from there on comes from a host that
 *             was replaced, and no reader takes it
 *   fence     what this machine knows of a newer epoch than its own: it was replaced
 */
const epochSchema = z.strictObject({
  epoch: z.int().nonnegative(),
  since: z.int().positive().nullable(),
  at: z.iso.datetime({ precision: 3 }).nullable(),
  why: z.string().nullable(),
  /** Those before, oldest first. */
  history: z.array(z.strictObject({ epoch: z.int(), since: z.int(), at: z.string(), why: z.string() })),
});
export type Epoch = z.output<typeof epochSchema>;

const fenceSchema = z.strictObject({
  epoch: z.int().positive(),
  /** Where it was seen. */
  url: z.string(),
  backupId: z.string(),
  at: z.string(),
});
export type Fence = z.output<typeof fenceSchema>;

type Keyring = Pick<Config, 'keyringDir'>;

const FIRST: Epoch = { epoch: 0, since: null, at: null, why: null, history: [] };
const epochPath = ({ keyringDir }: Keyring): string => join(keyringDir, 'epoch.json');
const fencePath = ({ keyringDir }: Keyring): string => join(keyringDir, 'fence.json');

/** Errors: `epoch-unreadable`: it is never guessed. */
export function readEpoch(config: Keyring): Epoch {
  return readAs(epochPath(config), epochSchema) ?? FIRST;
}

/** Begins a new epoch, above `atLeast`, and lifts the fence. Errors: `epoch-unreadable`, `keyring-unwritable`. */
export function bumpEpoch(
  config: Keyring,
  { atLeast, since, at, why }: { atLeast: number; since: number; at: string; why: string },
): Epoch {
  const { history, ...last } = readEpoch(config);
  const { since: began, at: when, why: reason } = last;
  const known =
    began === null || when === null || reason === null
      ? []
      : [{ ...last, since: began, at: when, why: reason }];
  const next = { epoch: Math.max(last.epoch, atLeast) + 1, since, at, why, history: [...history, ...known] };
  prepareKeyring(config.keyringDir);
  replaceFile(epochPath(config), `${JSON.stringify(next)}\n`);
  return next;
}

/**
 * Null: nothing newer is known, or what was known is older than the epoch of now, or is one that no host comes to: an
 * older release remembered whatever was signed, and no restore would get above it. Errors: `epoch-unreadable`.
 */
export function readFence(config: Keyring): Fence | null {
  const fence = readAs(fencePath(config), fenceSchema);
  if (fence === null) return null;
  const own = readEpoch(config).epoch;
  return fence.epoch > own && fence.epoch <= lastEpoch([fence.epoch], own) ? fence : null;
}

/** Remembers that another machine took over. */
export function writeFence(config: Keyring, fence: Fence): void {
  prepareKeyring(config.keyringDir);
  replaceFile(fencePath(config), `${JSON.stringify(fence)}\n`);
}

/** Errors: `epoch-fenced`, `epoch-unreadable`. */
export function assertNotFenced(config: Keyring, op: string): void {
  const fence = readFence(config);
  if (fence !== null) throw fencedOff(fence, readEpoch(config).epoch, op);
}

export function fencedOff(
  { epoch, url, backupId }: Pick<Fence, 'epoch' | 'url' | 'backupId'>,
  own: number,
  op: string,
): FactoryError {
  return new FactoryError({
    code: 'epoch-fenced',
    op,
    target: url,
    message: `Another machine took over: ${backupId} in ${url} is of epoch ${epoch}, this machine is in epoch ${own}.`,
    details: { epoch, url, backupId },
    hint: 'Leave this one stopped. To make it the one that counts again: `npx factory restore --in-place --plan`.',
  });
}

function readAs<T>(path: string, schema: z.ZodType<T>): T | null {
  if (!existsSync(path)) return null;
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new FactoryError({
      code: 'epoch-unreadable',
      op: 'read epoch',
      target: path,
      message: `${path} cannot be read: ${cause instanceof z.ZodError ? 'it is not what was written' : (cause as Error).message}.`,
      hint: 'Take the file from a copy of the keyring; without it nobody knows which uploads count.',
      cause,
    });
  }
}
