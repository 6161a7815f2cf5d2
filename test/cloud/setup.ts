import type { TestProject } from 'vitest/node';
import { versitygw } from '../s3/setup.ts';
import { pulumiCli } from './pulumi-cli.ts';

/** Builds what the suite needs before its first test, whose time would not be enough. */
export default function setup(project: TestProject): void {
  pulumiCli();
  project.provide('versitygw', versitygw());
}
