import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Image } from './image.ts';

/** A booted host: systemd as its first process, its own network, a tree of its own over the image's. */
export interface Machine {
  /** Where it answers, from here. */
  address: string;
  /** This end of its cable: whoever connects comes from there. */
  from: string;
  /** The running tree, from outside. */
  tree: string;
  /** Runs shell on it as root, past its network. Errors: where it does not end with 0. */
  run(shell: string): string;
  /** The same without judging. */
  ask(shell: string): { status: number; output: string };
  stop(): Promise<void>;
}

interface Boot {
  image: Image;
  /** For cloud-init, of a host that sees us come from an address; absent: a host that nobody told anything. */
  userData?: (from: string) => string;
  /** Files that it has from the start, by their paths. */
  files?: Record<string, string>;
  /** Who may log in as root before anything is described, as a cloud's own image has it. */
  rootKey?: string;
  /** Read-only folders that it sees, by their paths there. */
  folders?: Record<string, string>;
}

const SCRATCH = 'factory-host-';

/** Ends and removes what runs left that were killed: their process is gone, and their host is not. */
export function sweepHosts(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${SCRATCH}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    const scratch = join(tmpdir(), name);
    const marked = join(scratch, 'running');
    const [nspawn = '', network = ''] = existsSync(marked) ? readFileSync(marked, 'utf8').split(' ') : [];
    const command = `/proc/${nspawn}/cmdline`;
    if (nspawn !== '' && existsSync(command) && readFileSync(command, 'utf8').includes(scratch))
      process.kill(Number(firstProcess(Number(nspawn))), 'SIGKILL');
    spawnSync('umount', ['--lazy', join(scratch, 'tree')]);
    if (network !== '') removeCable(network);
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The first process of a host, as it is seen from here. */
const firstProcess = (nspawn: number): string =>
  readFileSync(`/proc/${nspawn}/task/${nspawn}/children`, 'utf8').trim().split(' ')[0] ?? '';

function removeCable(name: string): void {
  spawnSync('ip', ['link', 'delete', linkOf(name)]);
  spawnSync('ip', ['netns', 'delete', name]);
}

const call = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Boots it and waits until its first boot is over. Errors: the boot does not end; its console is part of the message. */
export async function bootHost({
  image,
  userData,
  rootKey,
  files = {},
  folders = {},
}: Boot): Promise<Machine> {
  const scratch = mkdtempSync(join(tmpdir(), `${SCRATCH}${process.pid}-`));
  const tree = layTree(image.root, scratch);
  const network = layCable();
  seed(tree, userData?.(network.from), rootKey);
  for (const [path, content] of Object.entries(files)) writeFileSync(join(tree, path), content);
  const log = join(scratch, 'console.log');
  const console = openSync(log, 'w');
  const nspawn = spawn(
    'systemd-nspawn',
    [
      ...[
        '--quiet',
        '--boot',
        '--register=no',
        '--keep-unit',
        '--capability=CAP_NET_ADMIN,CAP_SYS_PACCT',
        '--console=pipe',
      ],
      `--network-namespace-path=/run/netns/${network.name}`,
      ...['--directory', tree, '--machine', network.name],
      ...Object.entries(folders).map(([inside, outside]) => `--bind-ro=${outside}:${inside}`),
    ],
    { stdio: ['ignore', console, console], detached: true },
  );
  writeFileSync(join(scratch, 'running'), `${nspawn.pid} ${network.name}`);
  const machine = machineOf(nspawn, { tree, scratch, ...network });
  try {
    await booted(machine, nspawn);
    return machine;
  } catch (cause) {
    const said = readFileSync(log, 'utf8').slice(-4000);
    await machine.stop();
    throw new Error(`The host did not boot.\n${said}`, { cause });
  }
}

/** Over the image where the kernel lets us, else a copy of it. */
function layTree(image: string, scratch: string): string {
  const [upper, work, tree] = ['upper', 'work', 'tree'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [upper, work, tree]) mkdirSync(folder);
  const options = `lowerdir=${image},upperdir=${upper},workdir=${work}`;
  const mounted = spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', options, tree]);
  if (mounted.status !== 0)
    cpSync(image, tree, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  return tree;
}

const linkOf = (name: string): string => name.replace('factory-host-', 'fhost');

/** A network namespace with one cable to here; the first numbers that nobody has. */
function layCable(): { name: string; address: string; from: string } {
  for (let n = 1; n < 250; n += 1) {
    const name = `factory-host-${n}`;
    if (spawnSync('ip', ['netns', 'add', name], { stdio: 'ignore' }).status !== 0) continue;
    const from = `10.89.${n}.1`;
    const address = `10.89.${n}.2`;
    call('ip', 'link', 'add', linkOf(name), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    call('ip', 'address', 'add', `${from}/24`, 'dev', linkOf(name));
    call('ip', 'link', 'set', linkOf(name), 'up');
    call('ip', '-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    for (const link of ['lo', 'eth0']) call('ip', '-n', name, 'link', 'set', link, 'up');
    call('ip', '-n', name, 'route', 'add', 'default', 'via', from);
    return { name, address, from };
  }
  throw new Error('No network is free for a host: `ip netns list` shows those of earlier runs.');
}

function seed(tree: string, userData: string | undefined, rootKey: string | undefined): void {
  const folder = join(tree, 'var/lib/cloud/seed/nocloud-net');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'meta-data'), 'instance-id: first\nlocal-hostname: factory-host\n');
  writeFileSync(join(folder, 'user-data'), userData ?? '#cloud-config\n{}\n');
  if (rootKey === undefined) return;
  mkdirSync(join(tree, 'root/.ssh'), { recursive: true, mode: 0o700 });
  writeFileSync(join(tree, 'root/.ssh/authorized_keys'), rootKey, { mode: 0o600 });
}

function machineOf(
  nspawn: ChildProcess,
  { tree, scratch, name, address, from }: Record<'tree' | 'scratch' | 'name' | 'address' | 'from', string>,
): Machine {
  const leader = (): string => firstProcess(nspawn.pid ?? 0);
  const ask = (shell: string): { status: number; output: string } => {
    const ran = spawnSync('nsenter', ['--target', leader(), '--all', '--', 'bash', '-c', shell], {
      encoding: 'utf8',
      cwd: '/',
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        LC_ALL: 'C',
      },
      maxBuffer: 64 * 1024 * 1024,
    });
    return { status: ran.status ?? 1, output: ran.stdout + ran.stderr };
  };
  const run = (shell: string): string => {
    const { status, output } = ask(shell);
    if (status !== 0) throw new Error(`On the host, ended with ${status}: ${shell}\n${output}`);
    return output;
  };
  const stop = async (): Promise<void> => {
    const ended = new Promise((resolve) => nspawn.once('exit', resolve));
    const first = nspawn.exitCode === null && nspawn.signalCode === null ? leader() : '';
    // Nothing on it is worth waiting for.
    if (first !== '') process.kill(Number(first), 'SIGKILL');
    if (nspawn.exitCode === null && nspawn.signalCode === null) await ended;
    spawnSync('umount', ['--lazy', tree]);
    removeCable(name);
    rmSync(scratch, { recursive: true, force: true });
  };
  return { address, from, tree, run, ask, stop };
}

const BOOT_MS = 180_000;

async function booted(machine: Machine, nspawn: ChildProcess): Promise<void> {
  const giveUp = Date.now() + BOOT_MS;
  while (Date.now() < giveUp && nspawn.exitCode === null) {
    await sleep(500);
    const { output } = machine.ask('cat /run/cloud-init/result.json 2>/dev/null; true');
    if (output.includes('"errors"')) return;
  }
  throw new Error(
    nspawn.exitCode === null ? 'It took too long.' : `systemd-nspawn ended with ${nspawn.exitCode}.`,
  );
}
