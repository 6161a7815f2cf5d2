import type { AttachmentFiles } from './attachments/attachment-files.ts';
import type { Deletion } from './deletion/deletion.ts';
import type { Caller, ChatDependencies } from './dependencies.ts';
import type { Eraser } from './erasure/erase.ts';
import { createErasures, type ErasureDependencies } from './erasure/erasures.ts';
import { createErasurePlan } from './erasure/plan.ts';
import type { Finding } from './messages/finding.ts';
import { createGranting } from './grants/granting.ts';
import { createHolding } from './holds/holding.ts';
import type { PeopleFacts } from './grants/new-grant.ts';
import type { Policies } from './policies.ts';
import { createRotations } from './keys/rotation.ts';
import { createQuarantine } from './quarantine/quarantine.ts';
import { breakGlassNeeded } from './refusals.ts';
import { createRetention } from './retention/retaining.ts';
import { createSubjectReport, type Line } from './erasure/subject-report.ts';

/** What people who answer for conversations do with them: hold, erase, report, retain, let somebody or something in. */

/** What the rest of the service knows. */
export type GovernanceFacts = Pick<ErasureDependencies, 'keyCopies'> & { people: PeopleFacts };

export interface GovernanceParts extends ChatDependencies, GovernanceFacts {
  deletion: Deletion;
  eraser: Eraser;
  finding: Finding;
  policies: Policies;
  filesGone: () => Promise<void>;
  files: Pick<AttachmentFiles, 'sealAgain' | 'contentOf'>;
}

export function createGovernance(deps: GovernanceParts) {
  const erasures = createErasures(deps);
  /** Whatever waited for a hold goes on. */
  const holds = createHolding(deps, deps.deletion, () => void erasures.resume().catch(() => undefined));
  const retention = createRetention(deps);
  const rotations = createRotations(deps, deps.files);
  const reports = createSubjectReport(deps);

  return {
    holds,
    erasures,
    /** What an erasure of a subject would take away. Errors: `not-found`, `subject-erased`. */
    erasurePlan: createErasurePlan(deps),
    retention,
    rotations,
    grants: createGranting(deps),
    quarantine: createQuarantine(deps),
    /** Errors: `not-found`, `subject-erased`, `break-glass-needed`. */
    async subjectReport(caller: Caller, name: string): Promise<AsyncGenerator<Line>> {
      const general = await deps.policies.general();
      if (general.breakGlass && !(await deps.finding.reach(caller)).canReadAll)
        throw breakGlassNeeded('read about a subject');
      return reports.open(caller, name);
    },
    async start(): Promise<void> {
      await erasures.resume();
      await retention.resume();
      rotations.resume();
    },
    async stop(): Promise<void> {
      await Promise.all([erasures.stop(), retention.stop(), rotations.stop()]);
    },
  };
}

export type Governance = ReturnType<typeof createGovernance>;
