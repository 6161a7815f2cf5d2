import { acceptRestore, driftReport, reportDigest } from '../../../service/restored/pause.ts';
import type { DriftReport } from '../../../service/restored/pause.ts';
import { PROJECT } from '../../../service/offline.ts';
import { factoryCommand } from '../command.ts';
import { leaveMarks, marksText } from '../epoch/leave-marks.ts';
import { withAccess } from '../data.ts';
import { fields } from '../layout.ts';
import { readConfig } from '../settings.ts';
import type { Answer, Given, VerbContext } from '../verb.ts';

/** `restore --accept [DIGEST]`: shows what drifted since a restore; accepts exactly what was shown. */
export function accept(context: VerbContext, given: Given): Promise<Answer> {
  return withAccess(context, async ({ storage, audit }) => {
    const digest = given.text('accept');
    if (digest !== undefined) {
      const report = await acceptRestore(
        { storage, audit, projectId: PROJECT },
        { kind: 'system', id: 'system' },
        digest,
      );
      // Whatever was away when the restore was done.
      const marks = await leaveMarks(readConfig(context), context.env);
      return {
        json: {
          accepted: documentOf(report),
          next: [`${factoryCommand(context.cwd)} backup --full`],
        },
        text: [
          'Accepted: queue writes and jobs go on. The audit log has it.',
          'A service that runs jobs makes a full backup at once; where none does: npx factory backup --full',
          ...marksText(report.pause.epoch, marks),
        ].join('\n'),
      };
    }
    const report = await driftReport(storage.read, PROJECT);
    if (report === null)
      return { json: { report: null }, text: 'No restore waits for an answer: nothing is paused.' };
    return { json: { report: documentOf(report) }, text: reportText(report) };
  });
}

const documentOf = (report: DriftReport) => ({ ...report, digest: reportDigest(report) });

function reportText(report: DriftReport): string {
  const { pause, drifted, owed } = report;
  const head = fields([
    ['Restored', `${pause.backupId}, taken at ${pause.takenAt}`],
    ['Done', `at ${pause.restoredAt} by ${pause.by}${pause.why === 'undo' ? ', as an undo' : ''}`],
    ['Drifted', `${drifted.length} items whose files say something else, as the service last read them`],
    ['Waiting', `${owed.length} queue writes`],
  ]);
  const items = drifted.map(({ id, lane, attention }) => `  ${attention}  ${id} (${lane})`);
  const writes = owed.map(({ itemId, kind }) => `  write  ${itemId}: ${kind}`);
  return [
    head,
    ...items,
    ...writes,
    `\nQueue writes and jobs are paused. To let them go on: npx factory restore --accept ${reportDigest(report)}`,
  ].join('\n');
}
