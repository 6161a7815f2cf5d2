// Keeps node_modules what the lock says. Dependency-free: it runs before anything is installed.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOCK_WAIT_MS = 15 * 60_000;
const POLL_MS = 200;
/** A lock is created and then written; an empty one older than this belongs to nobody. */
const EMPTY_LOCK_MS = 10_000;

function problem(message, hint) {
  return Object.assign(new Error(message), { hint });
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Why an install is needed, or null. Compares package-lock.json with the record that npm itself leaves in
 * node_modules at the end of an install, so an install by hand counts, and one that was cut off does not.
 *
 * @param {Record<string, {version?: string, integrity?: string, dev?: boolean, optional?: boolean, devOptional?: boolean}>} wanted
 * @param {typeof wanted | null} installed
 * @param {boolean} dev whether devDependencies are needed too
 * @returns {string | null}
 */
export function missingFrom(wanted, installed, dev) {
  if (installed === null) return 'nothing is installed yet';
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    const needed = !entry.optional && (dev || !(entry.dev || entry.devOptional));
    if (found === undefined && needed) return `${path} is missing`;
    if (found !== undefined && (found.version !== entry.version || found.integrity !== entry.integrity)) {
      return `${path} is not at the locked version`;
    }
  }
  return null;
}

function reasonToInstall(root, { dev, files }) {
  const lock = readJson(join(root, 'package-lock.json'));
  if (lock === null)
    throw problem('package-lock.json is missing or broken.', 'Restore it: git checkout -- package-lock.json');
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'));
  const reason = missingFrom(lock.packages, installed?.packages ?? null, dev);
  if (reason !== null) return reason;
  const gone = files.find((file) => !existsSync(file));
  return gone === undefined ? null : `${gone} is missing`;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** True where the owner of the lock file cannot come back. */
function isAbandoned(path) {
  const owner = readJson(path);
  if (owner !== null) return owner.host === hostname() && !owner.pids.some(isAlive);
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > EMPTY_LOCK_MS;
}

const lockText = (pids) => JSON.stringify({ pids, host: hostname() });

function tryLock(path) {
  try {
    writeFileSync(path, lockText([process.pid]), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw problem(
      `Cannot write ${path}: ${error.message}`,
      'Make the folder of the clone writable, or install as its owner.',
    );
  }
}

/** Removes a dead owner's lock; the rename lets one of several waiters do it. */
function breakLock(path) {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (isAbandoned(aside)) rmSync(aside, { force: true });
  else renameSync(aside, path);
}

async function withLock(path, work) {
  const giveUp = Date.now() + LOCK_WAIT_MS;
  let told = false;
  while (!tryLock(path)) {
    if (isAbandoned(path)) {
      breakLock(path);
      continue;
    }
    if (!told) process.stderr.write('factory: another install is running in this folder; waiting for it.\n');
    told = true;
    if (Date.now() > giveUp)
      throw problem(`${path} is still held.`, 'If no install is running, delete that file.');
    await sleep(POLL_MS);
  }
  const release = () => rmSync(path, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

/** Runs npm with its whole output on stderr. Resolves with what went wrong, or null. */
function runNpm(root, lock, args) {
  return new Promise((resolve) => {
    // On Windows npm is a script that only a shell can start.
    const npm = spawn('npm', args, {
      cwd: root,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
    });
    // Should this process be killed, npm goes on alone: until it ends, nobody else may begin.
    if (npm.pid !== undefined) writeFileSync(lock, lockText([process.pid, npm.pid]));
    npm.on('error', (error) => resolve(error.code === 'ENOENT' ? 'npm was not found' : error.message));
    npm.on('exit', (code, signal) => resolve(code === 0 ? null : `npm ci ended with ${signal ?? code}`));
  });
}

async function install(root, lock, dev, reason) {
  const set = dev ? 'all dependencies' : 'the runtime dependencies';
  process.stderr.write(`factory: installing ${set} (${reason}).\n`);
  const started = Date.now();
  const failure = await runNpm(root, lock, [
    'ci',
    // NODE_ENV or a user's npm settings must not decide what is installed.
    ...(dev ? ['--include=dev'] : ['--omit=dev']),
    '--include=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  if (failure === 'npm was not found')
    throw problem('npm was not found.', 'Install npm 10 or later; it comes with Node.js.');
  if (failure !== null) {
    throw problem(
      `The install failed: ${failure}; npm's own lines above say why.`,
      'It needs the package registry once: check the network, proxy and registry settings, then run this again.',
    );
  }
  process.stderr.write(`factory: installed in ${((Date.now() - started) / 1000).toFixed(1)} s.\n`);
}

/**
 * Installs the locked dependencies if they are not there. Does nothing, and takes milliseconds, if they are.
 *
 * @param {string} root the clone
 * @param {{dev: boolean, files: string[]}} needs `files`: paths that must exist in the end
 */
export async function ensureInstalled(root, needs) {
  if (reasonToInstall(root, needs) === null) return;
  const lock = join(root, '.install.lock');
  await withLock(lock, async () => {
    const reason = reasonToInstall(root, needs);
    if (reason === null) return;
    const before = readJson(join(root, 'node_modules', '.package-lock.json'));
    // Developers keep their tools: refreshing a stale full install must not take vitest away.
    const hadDev = Object.values(before?.packages ?? {}).some((entry) => entry.dev === true);
    await install(root, lock, needs.dev || hadDev, reason);
  });
}
