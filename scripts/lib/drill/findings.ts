import { FactoryError } from '../../../service/errors.ts';
import type { Evidence } from '../../../service/jobs/evidence.ts';
import type { DrillOutcome } from '../../../service/jobs/types.ts';

/** What a drill found, check by check, and what follows from it. */

export type Check = Evidence['checks'][number];

/** A check that failed: what comes after it is not tried. */
export class CheckFailed extends Error {
  readonly check: string;
  constructor(check: string, detail: string) {
    super(detail);
    this.check = check;
  }
}

/**
 * What says nothing of the backup: it could not be fetched or read here, or this machine had no room. A backup that is
 * not there where it should be is no such thing.
 */
const SURROUNDINGS =
  /^(destination-(?!object-missing)|identity-|recipients-|backup-key-|restore-space$|keyring-|locked$|drill-engine$|drill-server-missing$|postgres-tools-|database-(unreachable|refused)$)/;

/** What Postgres says of a statement or of data; its other classes are of the server and the way to it. */
const OF_POSTGRES = /^(2[0-9A-Z]|4[0-9A-Z]|XX)[0-9A-Z]{3}$/;

export function saysNothing(error: unknown): boolean {
  if (error instanceof CheckFailed) return false;
  if (error instanceof FactoryError) return SURROUNDINGS.test(error.code) || error.code === 'internal';
  const code = String((error as { code?: unknown }).code);
  return !(code.startsWith('SQLITE_') || OF_POSTGRES.test(code));
}

export class Findings {
  readonly checks: Check[] = [];
  outcome: DrillOutcome = 'pass';
  /** The check that is being made. */
  private current = 'fetch';
  private readonly progress: (text: string) => void;

  constructor(progress: (text: string) => void) {
    this.progress = progress;
  }

  begin(name: string, text: string): void {
    this.current = name;
    this.progress(text);
  }

  pass(name: string, detail: string): void {
    this.add(name, 'pass', detail);
  }

  skip(name: string, detail: string): void {
    this.add(name, 'skipped', detail);
  }

  /** Ends the drill where it does not hold. */
  hold(name: string, holds: boolean, good: string, bad: string): void {
    this.current = name;
    if (!holds) throw new CheckFailed(name, bad);
    this.pass(name, good);
  }

  /** What broke the drill off. `late`: it ran out of time, which says nothing of the backup. */
  broke(error: unknown, late: boolean): void {
    const nothing = late || saysNothing(error);
    const { message } = error as Error;
    const why = error instanceof FactoryError ? `${error.code}: ${message} ${error.hint}` : message;
    this.add(this.current, nothing ? 'skipped' : 'fail', late ? `The drill ran out of time. ${why}` : why);
    this.outcome = nothing ? 'inconclusive' : 'fail';
  }

  private add(name: string, status: Check['status'], detail: string): void {
    this.checks.push({ name, status, detail: oneLine(detail).slice(0, 1000) });
  }
}

/** Without what neither JSON nor a terminal holds well. */
export function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();
}
