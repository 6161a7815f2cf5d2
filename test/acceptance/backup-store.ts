import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { startS3 } from '../helpers/s3-double.ts';
import type { Fault, S3Double } from '../helpers/s3-double.ts';
import type { Place } from '../process/service.ts';
import type { Random } from './random.ts';

/** Where the backups of a lab lie: a folder, or a bucket whose server fails as it is told to. */
export interface Store {
  name: 'folder' | 'bucket';
  /** When each object was written, by its key. */
  objects(): Map<string, number>;
  /** Makes the objects of a backup look as if they had been written then. */
  date(backupId: string, at: number): void;
  /** Calls that it got; a folder gets none. */
  calls(): number;
  /** From so many calls on it is in trouble, until `heal`. Answers what the trouble is. */
  trouble(after: number, random: Random): string;
  heal(): void;
  close(): Promise<void>;
}

/** The destination that an installation has without any configuration. */
export function folderStore({ data }: Place): Store {
  const root = join(data, 'backups');
  const files = (): string[] =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  return {
    name: 'folder',
    objects: () => new Map(files().map((path) => [path.slice(root.length + 1), statSync(path).mtimeMs])),
    date(backupId, at) {
      const seconds = at / 1000;
      for (const path of files())
        if (path.startsWith(`${join(root, backupId)}.`)) utimesSync(path, seconds, seconds);
    },
    calls: () => 0,
    trouble: () => 'none',
    heal: () => undefined,
    close: async () => undefined,
  };
}

const PREFIX = 'team/';

/** Trouble with one call, and trouble that stays: the second is longer than a backup waits. */
const PASSING: Record<string, Fault> = {
  'one 500': { kind: 'status', status: 500 },
  'one 503': { kind: 'status', status: 503 },
  'one broken connection': { kind: 'drop' },
  'one lost answer': { kind: 'lost-reply' },
  'one short answer': { kind: 'truncate' },
  'one changed answer': { kind: 'flip' },
};
const LASTING: Record<string, Fault> = {
  'no connection': { kind: 'drop' },
  'no answer': { kind: 'lost-reply' },
  'only 503': { kind: 'status', status: 503 },
  'only 403': { kind: 'status', status: 403, code: 'AccessDenied' },
};

/** A bucket on a server in this process; the place is configured for it. */
export async function bucketStore(place: Place, given?: S3Double): Promise<Store> {
  const server = given ?? (await startS3({ provider: 'b2' }));
  Object.assign(place.env, {
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    FACTORY_BACKUP_DESTINATIONS: `s3://backups/${PREFIX.slice(0, -1)}?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`,
    FACTORY_BACKUP_GIVE_UP_SECONDS: '2',
  });
  return {
    name: 'bucket',
    objects: () =>
      new Map([...server.objects].map(([key, { at }]) => [key.slice(PREFIX.length), Date.parse(at)])),
    date(backupId, at) {
      for (const [key, stored] of server.objects)
        if (key.startsWith(`${PREFIX}${backupId}.`)) stored.at = new Date(at).toISOString();
    },
    calls: () => server.asked.length,
    trouble: (after, random) => makeTrouble(server, after, random),
    heal: () => void (server.fault = () => undefined),
    close: () => server.close(),
  };
}

function makeTrouble(server: S3Double, after: number, random: Random): string {
  const lasts = random.chance(0.5);
  const kinds = lasts ? LASTING : PASSING;
  const name = random.pick(Object.keys(kinds));
  let call = 0;
  server.fault = () => {
    call += 1;
    return call === after + 1 || (lasts && call > after) ? kinds[name] : undefined;
  };
  return name;
}
