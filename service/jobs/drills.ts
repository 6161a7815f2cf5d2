import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { ChangeActor } from '../audit/events.ts';
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import { publicKeyOf } from '../ed25519.ts';
import { FactoryError } from '../errors.ts';
import { param, statement } from '../storage/statement.ts';
import type { Tables } from '../storage/tables.ts';
import type { Storage } from '../storage/transaction.ts';
import { assertBelieved, evidenceDigest, evidenceSchema, evidenceText, recordOf } from './evidence.ts';
import type { Evidence } from './evidence.ts';
import { OWN_NAME } from './facts.ts';
import type { DrillRecord } from './types.ts';

/** The drills that this installation knows of: held here, or reported by a drill host or a pipeline. */

const insert = statement<Tables['drills']>()((db) =>
  db.insertInto('drills').values({
    id: param('id'),
    subject: param('subject'),
    url: param('url'),
    outcome: param('outcome'),
    at: param<string>('at'),
    digest: param('digest'),
    evidence: param('evidence'),
  }),
);

const known = statement<{ id: string; digest: string }>()((db) =>
  db
    .selectFrom('drills')
    .select('digest')
    .where((row) => row.or([row('id', '=', param('id')), row('digest', '=', param('digest'))])),
);

const newest = statement<{ subject: string; limit: number }>()((db) =>
  db
    .selectFrom('drills')
    .select('evidence')
    .where('subject', '=', param('subject'))
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(param<number>('limit')),
);

export interface DrillDependencies {
  storage: Storage;
  audit: Pick<AuditLog, 'append'>;
  clock: Clock;
  projectId: string;
  installation: string;
  config: { keyringDir: string; drillSigners: readonly string[] };
}

export function createDrills({ storage, audit, clock, projectId, installation, config }: DrillDependencies) {
  return {
    /**
     * Records evidence; the same one again changes nothing. Its digest stands in the audit log.
     * Errors: those of `assertBelieved`, and `drill-conflict` where another one has its id.
     */
    async accept(
      actor: Pick<ChangeActor, 'kind' | 'id'>,
      evidence: Evidence,
    ): Promise<{ record: DrillRecord; created: boolean }> {
      const own = ownSigner(config.keyringDir);
      const signers = [...config.drillSigners, ...(own === null ? [] : [own])];
      assertBelieved(evidence, { installation, signers, now: clock.now() });
      const digest = evidenceDigest(evidence);
      const { id, subject, url, outcome, at } = evidence;
      const created = await storage.write(async (tx) => {
        const there = await tx.get(known, { id, digest });
        if (there?.digest === digest) return false;
        if (there) throw conflict(id);
        await tx.run(insert, { id, subject, url, outcome, at, digest, evidence: evidenceText(evidence) });
        await audit.append(tx, {
          project: projectId,
          actor: { kind: actor.kind, id: actor.id },
          action: 'drill.recorded',
          object: { kind: 'drill', id: digest },
          outcome: 'applied',
        });
        return true;
      });
      return { record: recordOf(evidence), created };
    },

    /** Newest first. */
    async history(limit: number): Promise<DrillRecord[]> {
      const rows = await storage.read.all(newest, { subject: OWN_NAME, limit });
      return rows.map(({ evidence }) => recordOf(stored.parse(JSON.parse(evidence))));
    },
  };
}

export type Drills = ReturnType<typeof createDrills>;

/** A later release may say more. */
const stored: z.ZodType<Evidence> = z.looseObject(evidenceSchema.shape);

/** The public half of the key that signs this installation's backups and drills; null: there is none here. */
export function ownSigner(keyringDir: string): string | null {
  try {
    return publicKeyOf(createPrivateKey(readFileSync(join(keyringDir, 'backup-signing.pem'))));
  } catch {
    // Without it, only those that are configured are believed.
    return null;
  }
}

function conflict(target: string): FactoryError {
  return new FactoryError({
    code: 'drill-conflict',
    op: 'accept drill',
    target,
    message: `Another drill has the id ${target}.`,
    hint: 'Send evidence as the drill wrote it; each drill has an id of its own.',
  });
}
