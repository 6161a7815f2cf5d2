import type { Reporter, TestModule, TestSpecification } from 'vitest/node';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Suites that must run the very same cases. */
const ENGINES = ['sqlite', 'postgres'] as const;

/** Outcome per project; a file that could not even be loaded is a failure. */
export function countByProject(modules: readonly TestModule[]): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const module of modules) {
    const entry = counts.get(module.project.name) ?? { passed: 0, failed: 0, skipped: 0 };
    counts.set(module.project.name, entry);
    const before = entry.failed;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed' || state === 'failed') entry[state] += 1;
      else entry.skipped += 1;
    }
    if (module.state() === 'failed' && entry.failed === before) entry.failed += 1;
  }
  return counts;
}

/**
 * What is wrong with a run although no test failed, one sentence each: engines that did not run the same number of
 * cases and, in CI, skipped tests and suites without a test.
 */
export function complaints(counts: ReadonlyMap<string, Counts>, ci: boolean): string[] {
  const found: string[] = [];
  const [sqlite, postgres] = ENGINES.map((name) => counts.get(name));
  if (sqlite !== undefined && postgres !== undefined) {
    const [left, right] = [sqlite, postgres].map((entry) => entry.passed + entry.failed);
    if (left !== right) found.push(`SQLite ran ${left} cases and Postgres ${right}; both must run the same.`);
  }
  if (!ci) return found;
  for (const [name, entry] of counts) {
    if (entry.skipped > 0) found.push(`${name}: ${entry.skipped} skipped; in CI every test runs.`);
    if (entry.passed + entry.failed === 0) found.push(`${name}: no test ran.`);
  }
  return found;
}

/** Ends a run with one line per suite, `unit: 312 passed, 0 failed`, and fails it for `complaints`. */
export default class CountsReporter implements Reporter {
  private planned = new Set<string>();

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.planned = new Set(specifications.map((specification) => specification.project.name));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts = countByProject(modules);
    for (const name of this.planned) {
      if (!counts.has(name)) counts.set(name, { passed: 0, failed: 0, skipped: 0 });
    }
    process.stdout.write('\n');
    for (const [name, { passed, failed, skipped }] of counts) {
      process.stdout.write(`${name}: ${passed} passed, ${failed} failed\n`);
      if (skipped > 0) process.stdout.write(`  ${name} skipped ${skipped}\n`);
    }
    if (unhandled.length > 0) process.stdout.write(`errors: 0 passed, ${unhandled.length} failed\n`);
    for (const complaint of complaints(counts, Boolean(process.env.CI))) {
      process.stderr.write(`${complaint}\n`);
      process.exitCode = 1;
    }
  }
}
