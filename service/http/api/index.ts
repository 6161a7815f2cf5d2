import { openapiDocument, type OpenApi } from '../openapi.ts';
import { sendJson, type Operation } from '../operation.ts';
import { accessOperations } from './access.ts';
import { actionOperations } from './actions.ts';
import { attachmentOperations } from './attachments.ts';
import { auditOperations } from './audit.ts';
import { operation, type ApiContext } from './context.ts';
import { drillOperations } from './drills.ts';
import { erasureOperations } from './erasures.ts';
import { keyRotationOperations } from './key-rotations.ts';
import { grantOperations } from './grants.ts';
import { historyOperations } from './history.ts';
import { holdOperations } from './holds.ts';
import { itemOperations } from './items.ts';
import { openapi } from './schemas/system.ts';
import { operationsOperations } from './operations.ts';
import { policyOperations } from './policies.ts';
import { quarantineOperations } from './quarantine.ts';
import { retentionOperations } from './retention.ts';
import { searchOperations } from './search.ts';
import { sessionEventOperations } from './session-events.ts';
import { sessionOperations } from './sessions.ts';
import { systemOperations } from './system.ts';
import { transferOperations } from './transfer.ts';

export type { ApiContext } from './context.ts';

/** It is public and takes some 20 ms to make. */
const contracts = new Map<string | null, OpenApi>();

const describe = operation({
  ...{ method: 'get', path: '/api/openapi.json', id: 'showOpenApi', tag: 'Operations', access: 'public' },
  summary: 'This contract',
  responses: { 200: { description: 'An OpenAPI 3.1 document.', schema: openapi } },
  handle({ res }, { release }) {
    const contract = contracts.get(release) ?? openapiDocument(operations, { release });
    contracts.set(release, contract);
    sendJson(res, 200, contract);
  },
});

/** The JSON API. Of paths that overlap the more exact one comes first. */
export const operations: readonly Operation<ApiContext>[] = [
  ...itemOperations,
  ...actionOperations,
  ...historyOperations,
  ...transferOperations,
  ...sessionOperations,
  ...sessionEventOperations,
  ...searchOperations,
  ...holdOperations,
  ...erasureOperations,
  ...keyRotationOperations,
  ...attachmentOperations,
  ...policyOperations,
  ...retentionOperations,
  ...grantOperations,
  ...quarantineOperations,
  ...accessOperations,
  ...auditOperations,
  ...drillOperations,
  ...operationsOperations,
  ...systemOperations,
  describe,
];
