import { describe, expect, it } from 'vitest';
import { patiently } from '../../../scripts/lib/destinations/patience.ts';
import type { Patience } from '../../../scripts/lib/destinations/patience.ts';

const patience: Patience = {
  ...{ ms: () => 1000, tryMs: 0, firstPauseMs: 5, mostPauseMs: 20, worth: () => true },
  signal: new AbortController().signal,
};
/** Fails so many times, then answers how often it was asked. */
const failing = (times: number): (() => Promise<number>) => {
  let asked = 0;
  return async () => {
    asked += 1;
    if (asked <= times) throw new Error(`try ${asked}`);
    return asked;
  };
};

describe('patience', () => {
  it('asks until it is answered', async () => {
    expect(await patiently(failing(3), patience)).toBe(4);
  });

  it('does not ask again where that cannot help', async () => {
    await expect(patiently(failing(1), { ...patience, worth: () => false })).rejects.toThrow('try 1');
  });

  it('begins no try that could end too late', async () => {
    await expect(patiently(failing(1), { ...patience, tryMs: 1000 })).rejects.toThrow('try 1');
  });

  it('ends where it is told to, with the last answer', async () => {
    const { signal } = { signal: AbortSignal.timeout(30) };
    const long = { ...patience, firstPauseMs: 100_000, mostPauseMs: 100_000, ms: () => 1e9, signal };
    await expect(patiently(failing(1), long)).rejects.toThrow('try 1');
  });
});
