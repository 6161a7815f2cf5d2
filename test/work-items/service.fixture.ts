import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import { createNames } from '../../service/access/names.ts';
import { createPeople } from '../../service/access/people.ts';
import { permissionsOf } from '../../service/access/roles.ts';
import { createTokens } from '../../service/access/tokens.ts';
import { SYSTEM } from '../../service/audit/events.ts';
import { loadAuditKeys } from '../../service/audit/keys.ts';
import { createAuditLog } from '../../service/audit/log.ts';
import { readCheckpoints } from '../../service/audit/checkpoint-files.ts';
import { verifyAudit, verifyStorage } from '../../service/audit/verify.ts';
import { verifyAccess } from '../../service/access/verify-access.ts';
import { manualClock } from '../../service/clock.ts';
import { createLogger } from '../../service/logger.ts';
import { createCursors } from '../../service/storage/cursor.ts';
import { installationId, openStorage } from '../../service/storage/open.ts';
import type { Reader } from '../../service/storage/transaction.ts';
import type { ForgeSource } from '../../service/work-items/dependencies.ts';
import { openPolicyMemory } from '../../service/work-items/policy-memory.ts';
import { createPolicyReader } from '../../service/work-items/policy-reader.ts';
import { createWorkItems } from '../../service/work-items/service.ts';
import type { QueueFs } from '../../service/work-items/queue-files.ts';
import { openQueue } from '../../service/work-items/source.ts';
import type { Principal } from '../../service/work-items/types.ts';
import { verifyProjection } from '../../service/work-items/verify-projection.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';

export const PROJECT = 'main';

/** A record file; `extra` are further front-matter lines. */
export function record(id: string, lane: string, extra = ''): string {
  return `---
id: ${id}
title: Title of ${id}
status: ${lane}
workType: implementation
branch: bf/${id}
validation: ./scripts/validate-local.sh
${extra}criteria:
  - First criterion
  - Second criterion
---
Summary of ${id}.
`;
}

/** Files of a queue folder with a record and a prompt for each item, by lane. */
export function queueFiles(lanes: Record<string, string[]>): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [lane, ids] of Object.entries(lanes)) {
    for (const id of ids) {
      files[`${lane}/${id}.md`] = record(id, lane);
      files[`prompts/${id}.prompt.md`] = `Prompt of ${id}.\n`;
    }
  }
  return files;
}

/** The work-item service on the running project's engine with a folder of its own, without HTTP. */
export async function startItems(
  files: Record<string, string>,
  options: {
    forge?: ForgeSource;
    databaseUrl?: string;
    dir?: string;
    fs?: QueueFs;
    queueWrites?: boolean;
    attentionRefreshMs?: number;
  } = {},
) {
  const dir = options.dir ?? mkdtempSync(join(inject('scratch'), 'items-'));
  const queueDir = join(dir, 'work-items');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(queueDir, path)), { recursive: true });
    writeFileSync(join(queueDir, path), text);
  }
  const databaseUrl = options.databaseUrl ?? (await createEngineDatabase());
  const storage = await openStorage(databaseUrl);
  const clock = manualClock('2026-05-04T10:00:00.000Z');
  const logger = createLogger('silent');
  const keys = loadAuditKeys(join(dir, 'keyring'), await installationId(storage.read), false);
  const audit = createAuditLog({ storage, keys, clock, checkpointDirs: [join(dir, 'checkpoints')], logger });
  const people = createPeople({
    storage,
    audit,
    clock,
    projectId: PROJECT,
    baseUrl: () => 'http://localhost',
  });
  const tokens = createTokens({
    people,
    logger,
    storage,
    audit,
    clock,
    projectId: PROJECT,
    baseUrl: () => 'http://localhost',
  });
  const { fs, queueWrites = true, attentionRefreshMs } = options;
  const queue = openQueue({ dir: queueDir, clock, logger, ...(fs ? { fs } : {}) });
  const policy = createPolicyReader(queue, logger, await openPolicyMemory(storage, audit, PROJECT, clock));
  const items = createWorkItems({
    ...{ storage, audit, clock, logger, people, queue, queueDir, projectId: PROJECT, queueWrites },
    names: createNames(storage.read, PROJECT),
    policy: policy.current,
    queueKnown: policy.known,
    policyProblems: policy.fileProblems,
    cursors: createCursors(keys.commitment),
    forge: options.forge ?? null,
    ...(attentionRefreshMs === undefined ? {} : { attentionRefreshMs }),
    changed: () => undefined,
  });
  const ownerId = await people.ensureOwner();
  await items.rescan();
  const checked = {
    vkey: keys.vkey,
    commitmentKey: keys.commitment,
    checks: [
      (reader: Reader) => verifyProjection(reader, PROJECT),
      (reader: Reader) => verifyAccess(reader, PROJECT),
    ],
  };

  const principal = (
    id: string,
    name: string,
    roles: string[],
    kind: Principal['kind'] = 'person',
    personId = id,
  ): Principal => ({
    ...{ kind, id, name, personId, roles, permissions: permissionsOf(roles) },
  });
  return {
    ...{ dir, queueDir, databaseUrl, storage, clock, audit, people, tokens, items, principal, policy },
    owner: principal(ownerId, 'Owner', ['owner']),
    async member(name: string, role: string): Promise<Principal> {
      const { id } = await people.invite(SYSTEM, { name, role });
      return principal(id, name, [role]);
    },
    verify: () => verifyStorage(storage, { ...checked, checkpointDirs: [join(dir, 'checkpoints')] }),
    /** The same of a transaction's own state. */
    verifyIn: async (reader: Reader) =>
      verifyAudit({ ...checked, reader, checkpoints: await readCheckpoints(join(dir, 'checkpoints')) }),
    async close() {
      await items.stop();
      await audit.stop();
      await storage.close();
    },
  };
}

export type ItemsFixture = Awaited<ReturnType<typeof startItems>>;
