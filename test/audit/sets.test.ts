import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CommitmentTable } from '../../service/audit/commitment-table.ts';
import { SeqSet } from '../../service/audit/seq-set.ts';

it('SeqSet holds what a Set holds, below zero and far away, too', () => {
  const number = fc.oneof(
    fc.integer({ min: -5, max: 40 }),
    fc.maxSafeInteger(),
    fc.constantFrom(2 ** 15 - 1, 2 ** 15),
  );
  const property = fc.property(fc.array(number, { maxLength: 60 }), fc.array(number), (added, asked) => {
    const model = new Set(added);
    const set = new SeqSet();
    for (const seq of added) set.add(seq);
    for (const seq of [...added, ...asked]) {
      expect(set.has(seq)).toBe(model.has(seq));
      let absent = seq;
      while (model.has(absent)) absent += 1;
      expect(set.nextAbsent(seq)).toBe(absent);
    }
  });
  fc.assert(property);
});

it('SeqSet skips what is full', () => {
  const set = new SeqSet();
  for (let seq = 1; seq <= 100_000; seq++) set.add(seq);
  expect([set.nextAbsent(1), set.nextAbsent(50_000), set.nextAbsent(0)]).toEqual([100_001, 100_001, 0]);
});

it('CommitmentTable finds every commitment and names those that nothing matched', () => {
  const commitment = (n: number): string => createHash('sha256').update(`c${n}`).digest('base64url');
  const table = new CommitmentTable();
  for (let n = 1; n <= 5_000; n++) expect(table.add(commitment(n), n)).toBeNull();
  expect(table.add(commitment(7), 9_999)).toBe(7);
  for (let n = 1; n <= 5_000; n++) if (n % 100 !== 7) expect(table.match(commitment(n))).toBe(true);
  expect(table.match(commitment(5_001))).toBe(false);
  expect(table.unmatched()).toEqual(Array.from({ length: 50 }, (_, i) => i * 100 + 7));
});
