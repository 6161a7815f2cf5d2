import { createHmac } from 'node:crypto';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decisionCommitment, decodeLeaf, encodeLeaf, eventCommitment } from '../../service/audit/leaf.ts';
import type { AuditEntry, DecisionRow, EventRow } from '../../service/audit/leaf.ts';

const AT = '2026-03-01T10:00:00.000Z';
const KEY = Buffer.alloc(32, 7);
const COMMITMENT = 'A'.repeat(43);

const ENTRY: AuditEntry = {
  actor: { kind: 'person', id: 'p-1' },
  action: 'work-item.complete',
  object: { kind: 'item', id: 'wi-1' },
  outcome: 'applied',
  project: 'main',
};

const EVENT: EventRow = {
  seq: 4,
  project_id: 'main',
  stream: 'item',
  stream_id: 'wi-1',
  version: 2,
  type: 'lane-moved',
  payload: '{"to":"done"}',
  actor: '{"id":"p-1"}',
  at: AT,
};

const DECISION: DecisionRow = {
  id: 'd-1',
  project_id: 'main',
  item_id: 'wi-1',
  identity: 'complete',
  principal: '{"id":"p-1"}',
  outcome: 'applied',
  body: '{}',
  at: AT,
  item_seq: 9,
};

describe('leaf', () => {
  it('is canonical JSON with version and type', () => {
    expect(encodeLeaf(ENTRY, AT)).toBe(
      '{"action":"work-item.complete","actor":{"id":"p-1","kind":"person"},"at":"2026-03-01T10:00:00.000Z",' +
        '"object":{"id":"wi-1","kind":"item"},"outcome":"applied","project":"main",' +
        '"type":"build-factory/audit-leaf","v":1}',
    );
  });

  it('comes back as it was', () => {
    const entry: AuditEntry = {
      ...ENTRY,
      outcome: 'refused',
      code: 'permission-missing',
      event: { seq: 3, commitment: COMMITMENT },
      decision: { id: 'd-1', commitment: COMMITMENT },
    };
    expect(decodeLeaf(encodeLeaf(entry, AT))).toEqual({
      v: 1,
      type: 'build-factory/audit-leaf',
      at: AT,
      ...entry,
    });
    expect(decodeLeaf(encodeLeaf({ ...ENTRY, object: null }, AT)).object).toBeNull();
  });

  it.each<[string, Partial<AuditEntry>, string?]>([
    ['a text as long as content', { action: 'x'.repeat(201) }],
    ['an empty id', { actor: { kind: 'person', id: '' } }],
    ['an event without a number', { event: { seq: 0, commitment: COMMITMENT } }],
    ['a commitment of another form', { event: { seq: 1, commitment: 'short' } }],
    ['a time that is not UTC', {}, '2026-03-01T10:00:00+01:00'],
  ])('is refused with %s', (_, change, at = AT) => {
    expect(() => encodeLeaf({ ...ENTRY, ...change }, at)).toThrow(
      expect.objectContaining({ code: 'audit-leaf-malformed' }),
    );
  });

  const good = encodeLeaf(ENTRY, AT);
  it.each([
    [
      'other order',
      good.replace('{"action":"work-item.complete",', '{').replace('}', '},"action":"work-item.complete"'),
    ],
    ['white space', good.replace(':', ': ')],
    ['no JSON', good.slice(1)],
    ['another version', good.replace('"v":1', '"v":2')],
    ['another type', good.replace('audit-leaf', 'other')],
    ['a further property', good.replace('"v":1', '"v":1,"x":1')],
    ['a title', good.replace('"type"', '"title":"Secret","type"')],
    ['a property of every object', good.replace('"v":1', '"v":1,"valueOf":1')],
    ['a missing part', good.replace('"outcome":"applied",', '')],
    ['half a surrogate pair', good.replace('"main"', '"\\ud800"')],
    ['an array', '[]'],
  ])('is not read from %s', (_, text) => {
    expect(text).not.toBe(good);
    expect(() => decodeLeaf(text)).toThrow(expect.objectContaining({ code: 'audit-leaf-malformed' }));
  });
});

it('a leaf of any ids is in the form of RFC 8785', () => {
  const id = fc.string({ minLength: 1, maxLength: 40, unit: 'binary' });
  const ref = fc.record({ kind: id, id });
  const committed = fc.constant(COMMITMENT);
  const entry: fc.Arbitrary<AuditEntry> = fc.record(
    {
      actor: ref,
      action: id,
      object: fc.option(ref),
      outcome: fc.constantFrom('applied' as const, 'refused' as const),
      project: id,
      code: id,
      event: fc.record({ seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), commitment: committed }),
      decision: fc.record({ id, commitment: committed }),
    },
    { requiredKeys: ['actor', 'action', 'object', 'outcome', 'project'] },
  );
  const property = fc.property(entry, (fields) => {
    const text = encodeLeaf(fields, AT);
    expect(text).toBe(canonicalize(JSON.parse(text)));
    expect(decodeLeaf(text)).toEqual({ v: 1, type: 'build-factory/audit-leaf', at: AT, ...fields });
  });
  fc.assert(property);
});

describe('commitment', () => {
  const hmac = (kind: string, row: object): string =>
    createHmac('sha256', KEY)
      .update(`build-factory/commitment/v1\0${kind}\0${canonicalize(row)}`)
      .digest('base64url');

  it('is the keyed hash of domain, kind and canonical row', () => {
    expect(eventCommitment(KEY, EVENT)).toBe(hmac('event', EVENT));
    expect(decisionCommitment(KEY, DECISION)).toBe(hmac('decision', DECISION));
    expect(eventCommitment(Buffer.alloc(32, 8), EVENT)).not.toBe(hmac('event', EVENT));
  });

  it.each(Object.keys(EVENT) as (keyof EventRow)[])('of an event covers %s', (column) => {
    const value = typeof EVENT[column] === 'number' ? 77 : 'changed';
    expect(eventCommitment(KEY, { ...EVENT, [column]: value })).not.toBe(eventCommitment(KEY, EVENT));
  });

  it.each(Object.keys(DECISION) as (keyof DecisionRow)[])('of a decision covers %s', (column) => {
    const value = typeof DECISION[column] === 'number' ? 77 : 'changed';
    expect(decisionCommitment(KEY, { ...DECISION, [column]: value })).not.toBe(
      decisionCommitment(KEY, DECISION),
    );
  });

  it('of a decision does not depend on the stored one', () => {
    const stored = { ...DECISION, commitment: COMMITMENT };
    expect(decisionCommitment(KEY, stored)).toBe(decisionCommitment(KEY, DECISION));
  });
});
