import { z } from 'zod';

/**
 * What was deployed on a host, from the lines of its `deploys.jsonl`. Deploys write them while no service runs, or an older
 * one does; the service only reads. A run has two lines: one when it begins, one when it ended; the later one counts.
 */

export const DEPLOY_KINDS = ['deploy', 'rollback'] as const;
export const DEPLOY_OUTCOMES = ['ok', 'unchanged', 'failed', 'rolled-back'] as const;

/** In their order; a rollback does without upload, unpack and migrate. */
export const DEPLOY_STEPS = [
  ...(['preflight', 'upload', 'unpack', 'migrate', 'start', 'gates'] as const),
  ...(['switch', 'watch', 'drain', 'keep'] as const),
] as const;
export type StepName = (typeof DEPLOY_STEPS)[number];

export const stepRecord = z.strictObject({
  name: z.enum(DEPLOY_STEPS),
  status: z.enum(['done', 'failed']),
  ms: z.int().min(0),
  /** What it came to. */
  detail: z.string(),
});
export type StepRecord = z.output<typeof stepRecord>;

export const deployRecord = z.strictObject({
  id: z.string(),
  kind: z.enum(DEPLOY_KINDS),
  environment: z.string(),
  release: z.string(),
  /** The live one before. */
  from: z.string().nullable(),
  by: z.string(),
  /** Of the deploy lock: it grows. */
  token: z.int().min(0),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  /** `rolled-back`: it was live, and the way back was taken. Null: it has not ended, or was cut off. */
  outcome: z.enum(DEPLOY_OUTCOMES).nullable(),
  /** Why, where it did not go well. */
  reason: z.string().nullable(),
  steps: z.array(stepRecord),
});
export type DeployRecord = z.output<typeof deployRecord>;

/** Deploys as a page shows them. `log`: whether there is one, and it can be read. */
export interface Deploys {
  log: 'none' | 'read' | 'unreadable';
  /** Newest first. */
  deploys: DeployRecord[];
}

/** Each run once, newest first. A line that was cut off by a crash, or that a later release wrote, is passed over. */
export function readHistory(text: string): DeployRecord[] {
  const runs = new Map<string, DeployRecord>();
  for (const line of text.split('\n')) {
    const found = parsed(line);
    if (found !== null) runs.set(found.id, found);
  }
  // Of the same moment the later line is the newer one.
  return [...runs.values()].reverse().sort((a, b) => b.startedAt.localeCompare(a.startedAt));
}

function parsed(line: string): DeployRecord | null {
  try {
    return deployRecord.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
