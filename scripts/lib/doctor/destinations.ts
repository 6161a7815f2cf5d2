import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config, Destination as Configured } from '../../../service/config.ts';
import { asFactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import { onSameDisk, SAME_DISK } from '../../../service/same-disk.ts';
import { assertHolds } from '../backup/emptied.ts';
import type { Holding } from '../backup/emptied.ts';
import { folderOf } from '../backup/read.ts';
import { lastFullBytes, replaceFile } from '../backup/state.ts';
import { storedIn } from '../backup/stored.ts';
import { trustedSigners } from '../backup/trust.ts';
import { openDestination } from '../destinations/open.ts';
import { probeDestination } from '../destinations/probe.ts';
import type { Capabilities } from '../destinations/capabilities.ts';
import type { Env } from '../destinations/s3-client.ts';
import { sizeText } from '../size.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

/** Servers refuse signatures that are a quarter of an hour off. */
const SKEW_SECONDS = 60;
const LEAST_FREE_SHARE = 0.1;
const FREE_SPACE =
  'Free space there, look with `npx factory backups prune` what may go, or choose another destination.';

export type DestinationCheck = Check & { destination: Omit<Capabilities, 'error'> };

/** Tries out each destination, and keeps what was found in `<data>/backup/destinations.json`. */
export async function destinationChecks(config: Config, env: Env): Promise<DestinationCheck[]> {
  const { destinations, retentionDays } = config.backup;
  const nextBytes = nextFullBytes(config);
  const holding = holdingOf(config);
  const found = await Promise.all(destinations.map((one) => examine(one, holding, env)));
  keep(config, found);
  const near = await onSameDisk(destinations, config);
  return found.map((capabilities, index) => {
    const one = destinations[index] as Configured;
    const facts = {
      provider: providerOf(one),
      sameDisk: capabilities.error === null && near.has(one.url),
      retentionDays,
      nextBytes,
    };
    const { error: _, ...destination } = capabilities;
    return { ...judge(`destination ${index + 1}`, capabilities, facts), destination };
  });
}

function holdingOf(config: Config): Holding {
  const stored = storedIn(folderOf(config, OWN_NAME));
  return { name: OWN_NAME, stored, trusted: trustedSigners(config) };
}

/** One that works, and has lost what was stored there, gets no backups, and does not work for that. */
async function examine(one: Configured, holding: Holding, env: Env): Promise<Capabilities> {
  const found = await probeDestination(one, env, new Date());
  if (found.error !== null) return found;
  try {
    const signal = AbortSignal.timeout(one.giveUpMs);
    await assertHolds(await openDestination(one, env), holding, { signal });
    return found;
  } catch (error) {
    return { ...found, error: asFactoryError(error, 'list destination') };
  }
}

/** Where nothing was made yet, or can be, nothing is made for this either: the disk has a check of its own. */
function keep({ dataDir }: Config, found: readonly Capabilities[]): void {
  try {
    if (!statSync(dataDir).isDirectory()) return;
    accessSync(dataDir, constants.W_OK);
  } catch {
    return;
  }
  makeFolder(join(dataDir, 'backup'), 0o700);
  const destinations = found.map(({ error, ...rest }) => ({ ...rest, error: error?.toJSON() ?? null }));
  replaceFile(join(dataDir, 'backup/destinations.json'), `${JSON.stringify({ destinations }, null, 2)}\n`);
}

export type Provider = 'b2' | 'spaces' | 'other';

function providerOf(one: Configured): Provider {
  const endpoint = one.kind === 's3' ? (one.endpoint ?? '') : '';
  if (endpoint.includes('backblazeb2.com')) return 'b2';
  return endpoint.includes('digitaloceanspaces.com') ? 'spaces' : 'other';
}

const IMMUTABLE: Record<Provider, string> = {
  b2: 'Make a key without deleteFiles, and turn Object Lock on with a default retention of 30 days.',
  spaces: 'A Spaces key that may upload may also delete versions: add a destination at another provider.',
  other:
    'Give the host a key without s3:DeleteObject and s3:DeleteObjectVersion, or lock the bucket for 30 days.',
};

interface Facts {
  provider: Provider;
  sameDisk: boolean;
  retentionDays: number;
  /** That the next full backup needs there; null: not known. */
  nextBytes: number | null;
}

/** What the findings mean; the first next step is the hint. Pure. */
export function judge(name: string, found: Capabilities, facts: Facts): Check {
  const { error, url } = found;
  if (error) return fail(name, `${url}: ${error.message}`, error.hint);
  if (!found.read)
    return fail(name, `${url} gives back something else than was written.`, 'Do not use it for backups.');
  const concerns = concernsOf(found, facts);
  const good =
    found.delete === false ? ['this key cannot delete, which is good: a stolen host cannot either'] : [];
  const said = [...concerns.map(([what]) => what), ...good, lockText(found)].filter((text) => text !== '');
  const detail = `${url}: ${said.join('; ') || 'can be listed, written and read'}.`;
  const [first] = concerns;
  return first ? warn(name, detail, first[1]) : ok(name, detail);
}

function lockText({ lock }: Capabilities): string {
  return typeof lock === 'object' ? `locked for ${lock.days} days (${lock.mode.toLowerCase()})` : '';
}

/** What the last full backup came to; before the first one, the database, which no backup of it is larger than by much. */
function nextFullBytes(config: Config): number | null {
  const last = lastFullBytes(folderOf(config, OWN_NAME));
  const { databaseUrl } = config;
  if (last !== null || !databaseUrl.startsWith('sqlite:')) return last;
  try {
    return statSync(databaseUrl.slice('sqlite:'.length)).size;
  } catch {
    // That it cannot be read is told by its own check.
    return null;
  }
}

function spaceConcern({ space }: Capabilities, nextBytes: number | null): [string, string][] {
  if (space === null) return [];
  const free = `${sizeText(space.free)} are free`;
  if (nextBytes !== null && space.free < nextBytes)
    return [[`${free}, and the next full backup needs ${sizeText(nextBytes)}`, FREE_SPACE]];
  if (space.free >= LEAST_FREE_SHARE * space.total) return [];
  return [[`${free}, less than a tenth of the disk`, FREE_SPACE]];
}

function concernsOf(
  found: Capabilities,
  { provider, sameDisk, retentionDays, nextBytes }: Facts,
): [string, string][] {
  const concerns = spaceConcern(found, nextBytes);
  const { clockSkewSeconds: skew, expiresAfterDays: expires } = found;
  if (sameDisk) concerns.push([SAME_DISK, 'Add one on another machine: FACTORY_BACKUP_DESTINATIONS.']);
  if (skew !== null && Math.abs(skew) > SKEW_SECONDS)
    concerns.push([`its clock differs from ours by ${skew} s`, 'Set the clock: timedatectl set-ntp true.']);
  if (expires !== null && expires < retentionDays)
    concerns.push([
      `a rule of the bucket removes objects after ${expires} days`,
      `Let that rule remove hidden versions only, or after more than ${retentionDays} days.`,
    ]);
  if (found.kind === 'folder') return concerns;
  if (found.versioning === 'off' || found.versioning === 'suspended')
    concerns.push(['no versions: an overwrite destroys', 'Turn versioning on in the bucket.']);
  if (found.deleteVersions === true || (found.delete && found.versioning === 'off'))
    concerns.push(['this key may delete versions: alone it is not immutable', IMMUTABLE[provider]]);
  return concerns;
}
