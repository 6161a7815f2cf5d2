import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import { FactoryError } from '../../../service/errors.ts';
import { shellWord } from '../command.ts';

/** Commands on a host, by the system's own ssh. */

export interface SshTarget {
  /** `user@address`. */
  host: string;
  knownHosts: string | null;
  identity: string | null;
  port: string | null;
}

/** The arguments of ssh. Nobody is asked anything, and a key that is not known is never accepted. Pure. */
export function sshArguments({ host, knownHosts, identity, port }: SshTarget, command: string): string[] {
  return [
    ...['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'],
    ...(knownHosts === null ? [] : ['-o', `UserKnownHostsFile=${knownHosts}`]),
    ...['-o', 'ConnectTimeout=10', '-o', 'ServerAliveInterval=15', '-o', 'ServerAliveCountMax=4'],
    ...(identity === null ? [] : ['-i', identity, '-o', 'IdentitiesOnly=yes']),
    ...(port === null ? [] : ['-p', port]),
    ...['--', host, command],
  ];
}

/** A command as the shell over there reads it; whoever is not root becomes it. Pure. */
export function asRoot(host: string, words: readonly string[]): string {
  return [...(host.startsWith('root@') ? [] : ['sudo', '-n']), ...words].map(shellWord).join(' ');
}

export interface Spoke {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command there. `hear` gets its talk line by line. Errors: `host-unreachable`, `host-key-unknown`, `ssh-refused`. */
export async function speak(
  target: SshTarget,
  command: string,
  { input, hear, env }: { input?: Readable; hear?: (line: string) => void; env: NodeJS.ProcessEnv },
): Promise<Spoke> {
  const child = spawn('ssh', sshArguments(target, command), { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', (cause) => reject(noSsh(target.host, cause)));
    child.on('close', (code) => resolve(code ?? 255));
  });
  // Where the other side ends first, its own words say why.
  child.stdin.on('error', () => undefined);
  const broken = Promise.withResolvers<never>();
  if (input === undefined) child.stdin.end();
  else {
    input.on('error', (error) => {
      child.kill();
      broken.reject(error);
    });
    input.pipe(child.stdin);
  }
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    hear?.(line);
  });
  const [code, stdout] = await Promise.race([Promise.all([ended, text(child.stdout)]), broken.promise]);
  const stderr = lines.join('\n');
  if (code === 255) throw sshFailed(target.host, stderr);
  return { code, stdout, stderr };
}

function sshFailed(target: string, stderr: string): FactoryError {
  const said = stderr.trim().split('\n').slice(-3).join(' ');
  const op = 'connect to host';
  if (/host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/i.test(stderr)) {
    return new FactoryError({
      ...{ code: 'host-key-unknown', op, target },
      message: `The key of ${target} is not the one that is known, or none is known: ${said}`,
      hint: 'Take the key from where the host was made (output known_hosts of the stack, or its console), and name the file: --known-hosts FILE.',
    });
  }
  if (/permission denied/i.test(stderr)) {
    return new FactoryError({
      ...{ code: 'ssh-refused', op, target },
      message: `${target} does not let you in: ${said}`,
      hint: 'Name the user and key that the host knows: --host USER@ADDRESS, --identity FILE, or load the key into your agent.',
    });
  }
  return new FactoryError({
    ...{ code: 'host-unreachable', op, target, retryable: true },
    message: `${target} cannot be reached, or the connection broke off: ${said === '' ? 'ssh said nothing' : said}`,
    hint: 'Check the address, the network, and whether your address may reach port 22. The same call again goes on where it was.',
  });
}

function noSsh(target: string, cause: Error): FactoryError {
  return new FactoryError({
    ...{ code: 'ssh-missing', op: 'connect to host', target, cause },
    message: `ssh does not start: ${cause.message}`,
    hint: 'Install an OpenSSH client.',
  });
}
