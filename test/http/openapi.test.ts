import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import type { PersonDocument } from '../../service/access/people.ts';
import type { NewToken } from '../../service/access/tokens.ts';
import type { AuditLeaf } from '../../service/audit/leaf.ts';
import type { ConsistencyProof, InclusionProof } from '../../service/audit/log.ts';
import type { VerifyResult } from '../../service/audit/verify.ts';
import { operations } from '../../service/http/api/index.ts';
import type * as access from '../../service/http/api/schemas/access.ts';
import type * as audit from '../../service/http/api/schemas/audit.ts';
import type * as gates from '../../service/http/api/schemas/gates.ts';
import type * as history from '../../service/http/api/schemas/history.ts';
import type * as items from '../../service/http/api/schemas/items.ts';
import type * as system from '../../service/http/api/schemas/system.ts';
import { statusOf } from '../../service/http/problem.ts';
import type { HealthDocument } from '../../service/ops/health.ts';
import type {
  ActionResult,
  ActionsDocument,
  DecisionDocument,
  HistoryDocument,
  ItemDocument,
  ItemSummary,
} from '../../service/work-items/documents.ts';
import type { ActionReport, Drift, GateResult, QueueProblem } from '../../service/work-items/types.ts';
import { contract } from './contract.ts';

type Json = Record<string, unknown>;

const PUBLIC = [
  '/api/health',
  '/api/health/backups',
  '/api/health/drills',
  '/api/badge/restore.svg',
  '/api/openapi.json',
];

/** Every object in the document, with where it stands. */
function* objects(value: unknown, path = '#'): Generator<[string, Json]> {
  if (typeof value !== 'object' || value === null) return;
  yield [path, value as Json];
  for (const [key, part] of Object.entries(value)) yield* objects(part, `${path}/${key}`);
}

function resolve(reference: string): unknown {
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>((at, part) => (at as Json | undefined)?.[part], contract);
}

const all = Object.entries(contract.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method} ${path}`,
    path,
    method,
    operation,
  })),
);

describe('the document', () => {
  it('describes exactly what is mounted', () => {
    expect(all.map(({ name }) => name).sort()).toEqual(
      operations.map(({ method, path }) => `${method} ${path}`).sort(),
    );
    expect(new Set(all.map(({ operation }) => operation.operationId)).size).toBe(all.length);
  });

  it('refers only to what is there, and uses all that it names', () => {
    const used = new Set<string>();
    for (const [path, { $ref }] of objects(contract)) {
      if (typeof $ref !== 'string') continue;
      used.add($ref);
      expect(resolve($ref), `${path} -> ${$ref}`).toBeDefined();
    }
    for (const name of Object.keys(contract.components.schemas))
      expect(used).toContain(`#/components/schemas/${name}`);
  });

  it('closes every object of an answer, but for problems and foreign content', () => {
    const open = Object.entries(contract.components.schemas).filter(
      ([, schema]) => schema['type'] === 'object' && schema['additionalProperties'] !== false,
    );
    expect(open.map(([name]) => name)).toEqual(['Problem']);
  });

  it('describes the gate record with its recovery for machines', () => {
    const { GateResult: gate, Recovery: recovery } = contract.components.schemas;
    expect(gate?.['required']).toEqual([
      'gate',
      'code',
      'verdict',
      'reason',
      'params',
      'facts',
      'recovery',
      'unblock',
    ]);
    expect(recovery?.['required']).toEqual(['cause', 'policyContext', 'nextStep', 'safeRetry']);
  });

  it.each(all)('$name declares its parameters, problems and security', ({ path, method, operation }) => {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((parameter) => parameter['in'] === 'path');
    expect(declared.map((parameter) => parameter['name'])).toEqual(inPath);
    const statuses = Object.keys(operation.responses);
    expect(statuses).toEqual(expect.arrayContaining(['400', '401', '421', '429', '503']));
    expect(statuses.includes('404') || inPath.length === 0).toBe(true);
    expect(statuses.includes('415')).toBe(operation.requestBody !== undefined);
    expect(statuses.includes('403') || method === 'get').toBe(true);
    if (operation.security.length === 0) expect(PUBLIC).toContain(path);
  });

  it('tells agents what they must send', () => {
    const act = contract.paths['/api/control-plane/items/{id}/actions/{identity}']?.['post'];
    const names = act?.parameters?.map((parameter) => parameter['name']);
    expect(names).toEqual(['id', 'identity', 'dryRun', 'Idempotency-Key', 'If-Match']);
    expect(Object.keys(act?.responses ?? {})).toEqual(expect.arrayContaining(['409', '412', '422', '428']));
  });
});

it.each([
  ['not-found', 404],
  ['action-blocked', 409],
  ['input-refused', 409],
  ['version-mismatch', 412],
  ['feed-full', 503],
  ['something-new', 500],
])('maps %s to %i', (code, status) => {
  expect(statusOf(code)).toBe(status);
});

/** The other direction stands with each schema, as `satisfies`. */
it('leaves nothing out and adds nothing to what an answer can be', () => {
  type Of<S extends z.ZodType> = z.output<S>;
  expectTypeOf<ItemDocument>().toExtend<Of<typeof items.item>>();
  expectTypeOf<ItemSummary>().toExtend<Of<typeof items.itemSummary>>();
  expectTypeOf<ActionsDocument>().toExtend<Of<typeof items.actions>>();
  expectTypeOf<ActionResult>().toExtend<Of<typeof items.actionResult>>();
  expectTypeOf<HistoryDocument>().toExtend<Of<typeof history.history>>();
  expectTypeOf<DecisionDocument>().toExtend<Of<typeof history.decision>>();
  expectTypeOf<GateResult>().toExtend<Of<typeof gates.gateResult>>();
  expectTypeOf<ActionReport>().toExtend<Of<typeof gates.actionReport>>();
  expectTypeOf<Drift>().toExtend<Of<typeof gates.drift>>();
  expectTypeOf<QueueProblem>().toExtend<Of<typeof gates.queueProblem>>();
  expectTypeOf<{ people: PersonDocument[] }>().toExtend<Of<typeof access.people>>();
  expectTypeOf<NewToken>().toExtend<Of<typeof access.newToken>>();
  expectTypeOf<AuditLeaf>().toExtend<NonNullable<Of<typeof audit.entries>['entries'][number]['leaf']>>();
  expectTypeOf<VerifyResult>().toExtend<Of<typeof audit.verification>>();
  expectTypeOf<(InclusionProof & { consistency?: ConsistencyProof }) | ConsistencyProof>().toExtend<
    Of<typeof audit.proof>
  >();
  expectTypeOf<HealthDocument>().toExtend<Of<typeof system.health>>();
});
