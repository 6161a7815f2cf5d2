import type { HostFacts } from '../types.ts';

/** Whether a deploy may begin. Takes facts; fetches nothing. */

/** What stays free beside what a deploy needs. */
export const RESERVE_BYTES = 256 * 1024 * 1024;

export interface Refusal {
  code: 'environment-mixed' | 'environment-missing' | 'disk-full';
  message: string;
  hint: string;
}

/** Null: nothing stands in the way. `needed`: the bytes that this deploy will write. */
export function preflightRefusal(
  { environment, freeBytes }: Pick<HostFacts, 'environment' | 'freeBytes'>,
  { wanted, needed, reserve = RESERVE_BYTES }: { wanted: string; needed: number; reserve?: number },
): Refusal | null {
  if (environment === null) {
    return {
      code: 'environment-missing',
      message: `This host has no environment ${wanted}.`,
      hint: `Name the host that has it, or set it up here: \`npx factory host apply\`. Nothing was changed.`,
    };
  }
  if (environment !== wanted) {
    return {
      code: 'environment-mixed',
      message: `This was asked for ${wanted}, and what is configured in its place says that it is ${environment}.`,
      hint: 'Look at --env and --host, and at FACTORY_ENV of the host. Nothing was changed.',
    };
  }
  if (freeBytes >= needed + reserve) return null;
  const mb = (bytes: number): number => Math.ceil(bytes / 1_000_000);
  return {
    code: 'disk-full',
    message: `${mb(freeBytes)} MB are free; this deploy needs ${mb(needed)} MB, and ${mb(reserve)} MB stay free.`,
    hint: 'Make room on the host, or give it a larger disk, then deploy again. Nothing was changed.',
  };
}
