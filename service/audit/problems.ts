/** One thing wrong with the log or with what it commits to. `seq` is that of the entry, where one is meant. */
export interface AuditProblem {
  code: string;
  message: string;
  seq?: number;
  hint: string;
}

/** Problems of one code that are named one by one. */
const NAMED_PER_CODE = 20;

/** Collects problems; of a code that comes up often, the rest is counted, so that the answer stays readable. */
export class Problems {
  readonly #named: AuditProblem[] = [];
  readonly #counts = new Map<string, number>();

  add(problem: AuditProblem): void {
    const count = (this.#counts.get(problem.code) ?? 0) + 1;
    this.#counts.set(problem.code, count);
    if (count <= NAMED_PER_CODE) this.#named.push(problem);
  }

  has(code: string): boolean {
    return this.#counts.has(code);
  }

  /** True when further problems of this code are only counted. */
  isFull(code: string): boolean {
    return (this.#counts.get(code) ?? 0) >= NAMED_PER_CODE;
  }

  list(): AuditProblem[] {
    const more = [...this.#counts]
      .filter(([, count]) => count > NAMED_PER_CODE)
      .map(([code, count]) => ({
        code,
        message: `${count - NAMED_PER_CODE} more of these.`,
        hint: 'The ones above are the first.',
      }));
    return [...this.#named, ...more];
  }
}
