import type { TestProject } from 'vitest/node';
import { goProgram } from '../helpers/go-program.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The program, in the project `gitleaks`. */
    gitleaks: string;
  }
}

/** gitleaks looks for secrets in text. Another version has other rules, and the lists of the cases are for this one. */
export default function setup(project: TestProject): void {
  project.provide(
    'gitleaks',
    goProgram({ name: 'gitleaks', module: 'github.com/zricethezav/gitleaks/v8', version: '8.30.1' }),
  );
}
