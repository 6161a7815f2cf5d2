import type { TestProject } from 'vitest/node';
import { goProgram } from '../helpers/go-program.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The program, in the project `s3`. */
    versitygw: string;
  }
}

export default function setup(project: TestProject): void {
  project.provide('versitygw', versitygw());
}

/** versitygw is an S3 server over a folder. The program, built where it is not there yet. Errors: where it cannot be. */
export const versitygw = (): string =>
  goProgram({ name: 'versitygw', module: 'github.com/versity/versitygw/cmd/versitygw', version: '1.8.0' });
