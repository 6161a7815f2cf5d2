import { sendJson } from '../operation.ts';
import { changeActor, operation } from './context.ts';
import { drillEvidence, drillRecord } from './schemas/drills.ts';

/** Drills that were held on another machine. */

const report = operation({
  ...{ method: 'post', path: '/api/operations/drills', id: 'reportDrill', tag: 'Operations' },
  access: 'factory.operations.report',
  summary: 'Report a drill that was held on a drill host or in a pipeline, by its signed evidence',
  description:
    "Believed are this installation's own backup key and those of FACTORY_DRILL_SIGNERS; the same evidence again changes " +
    'nothing. Refused with 409: evidence that is changed, of an unknown signer, of another installation, or from the future.',
  body: drillEvidence,
  responses: {
    201: { description: 'It is recorded.', schema: drillRecord },
    200: { description: 'It was recorded before.', schema: drillRecord },
  },
  problems: [409],
  async handle({ res, principal, body }, { drills }) {
    const { record, created } = await drills.accept(changeActor(principal), body);
    sendJson(res, created ? 201 : 200, record);
  },
});

export const drillOperations = [report];
