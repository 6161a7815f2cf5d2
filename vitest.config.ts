import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { findPostgres, POSTGRES_HINT } from './test/helpers/postgres-server.ts';
import CountsReporter from './test/tools/counts-reporter.ts';

const CONFORMANCE = 'test/**/*.conformance.test.ts';
/** Suites that need more than this repository and Debian's Postgres; each runs by its own command. */
const APART = ['browser', 'host', 'cloud', 'acceptance', 'process', 's3', 'gitleaks'].map(
  (folder) => `test/${folder}/**`,
);

/**
 * Files of a worker share its process and its modules: a process for each was half of the processor time. Nothing mocks
 * modules here, and what a test starts it ends.
 */
const isolate = false;

/** By default one processor stays free, which is half of two. */
const maxWorkers = availableParallelism();

const engines: ('sqlite' | 'postgres')[] = ['sqlite'];
// In CI a missing server is a failure (the first database that is asked for says so); elsewhere it is said loudly.
if (findPostgres() !== null || process.env.CI) engines.push('postgres');
else process.stderr.write(`\nNOT RUN: the Postgres suite; no server on this machine. ${POSTGRES_HINT}\n\n`);

export default defineConfig({
  test: {
    globalSetup: ['test/helpers/postgres-setup.ts'],
    reporters: ['default', new CountsReporter()],
    // Threads measured no faster on two cores, and a crash of a native module takes a fork alone.
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // What is waited for is asked again and again; how long it takes says how busy the machine is.
    expect: { poll: { timeout: 15_000 } },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [CONFORMANCE, ...APART],
          maxWorkers,
          isolate,
        },
      },
      ...engines.map((engine) => ({
        test: {
          name: engine,
          include: [CONFORMANCE],
          exclude: APART,
          provide: { engine },
          maxWorkers,
          isolate,
        },
      })),
      {
        test: {
          name: 'process',
          include: ['test/process/**/*.test.ts', 'test/acceptance/**/*.test.ts'],
          maxWorkers,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 's3',
          include: ['test/s3/**/*.test.ts'],
          globalSetup: ['test/s3/setup.ts'],
          testTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'gitleaks',
          include: ['test/gitleaks/**/*.test.ts'],
          globalSetup: ['test/gitleaks/setup.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'host',
          include: ['test/host/**/*.test.ts'],
          globalSetup: ['test/host/setup.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'cloud',
          include: ['test/cloud/**/*.test.ts'],
          globalSetup: ['test/cloud/setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
        },
      },
    ],
  },
});
