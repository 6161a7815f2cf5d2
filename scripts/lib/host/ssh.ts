import { spawn } from 'node:child_process';
import { FactoryError } from '../../../service/errors.ts';

/** Runs shell on a host by the ssh of this machine, with its configuration, agent and known hosts. */
export interface Connection {
  target: string;
  /** Fingerprint of the key that the host took last, `SHA256:…`; null: none is known, as with a shared connection. */
  key(): string | null;
  /** Becomes root where the login is another. */
  run(script: string, args: readonly string[], hear?: (line: string) => void): Promise<string>;
}

export interface SshOptions {
  /** A file with the host's key; absent: the user's own known hosts. */
  knownHosts?: string | undefined;
  /** A private key; absent: those of the user. */
  key?: string | undefined;
  signal?: AbortSignal;
}

const LAST_CHARACTERS = 64_000;
const ACCEPTED = /^debug1: Server accepts key: .* (SHA256:[A-Za-z0-9+/]{43})/m;
/** What ssh tells of itself, because it is asked which key was taken. */
const CHATTER = /^(debug1: |OpenSSH_|Authenticated to |Transferred: |Bytes per second: ).*\r?\n?/gm;
/** Other words of sudo are warnings. */
const NO_SUDO = /^sudo: .*(password|terminal)|not in the sudoers|not allowed to/m;

export function connect(target: string, { knownHosts, key }: SshOptions): Connection {
  const options = [
    ...['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=10', '-o', 'ServerAliveInterval=15', '-T', '-v'],
    ...(knownHosts === undefined
      ? []
      : ['-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'StrictHostKeyChecking=yes']),
    ...(key === undefined ? [] : ['-o', 'IdentitiesOnly=yes', '-i', key]),
  ];
  const root = target.startsWith('root@') ? 'bash' : 'sudo -n bash';
  let taken: string | null = null;
  return {
    target,
    key: () => taken,
    run: (script, args, hear = () => undefined) =>
      new Promise((resolve, reject) => {
        // The script comes by stdin: what it carries stands in no list of processes.
        const remote = `echo "client=\${SSH_CONNECTION%% *}"; exec ${root} -s -- ${args.join(' ')}`;
        const ssh = spawn('ssh', [...options, '--', target, remote], { stdio: ['pipe', 'pipe', 'pipe'] });
        let out = '';
        let rest = '';
        let said = '';
        ssh.stdout.on('data', (data: Buffer) => {
          out += data.toString();
          const lines = (rest + data.toString()).split('\n');
          rest = lines.pop() ?? '';
          lines.forEach(hear);
        });
        ssh.stderr.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-LAST_CHARACTERS)));
        // A host that hangs up early is told of by how ssh ends.
        ssh.stdin.on('error', () => undefined);
        ssh.once('error', (cause) => reject(noSsh(target, cause)));
        ssh.once('close', (code) => {
          taken = ACCEPTED.exec(said)?.[1] ?? taken;
          said = said.replace(CHATTER, '');
          const error = code === 255 || NO_SUDO.test(said) ? connectionError(target, said) : null;
          if (error === null) resolve(out);
          else reject(error);
        });
        ssh.stdin.end(script);
      }),
  };
}

function noSsh(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'ssh-missing', op: 'reach host', target, cause },
    message: 'ssh does not start on this machine.',
    hint: 'Install it (Debian: openssh-client).',
  });
}

/** What ssh said, as an error of ours. Pure. */
export function connectionError(target: string, said: string): FactoryError {
  // A banner of the host comes first; the reason is the last line.
  const last = said.trim().split('\n').at(-1) ?? '';
  const error = (code: string, message: string, hint: string, retryable = false): FactoryError =>
    new FactoryError({ code, op: 'reach host', target, message, hint, retryable, details: { said: last } });
  if (NO_SUDO.test(said))
    return error(
      'host-no-root',
      `${target} gives no root: ${last}`,
      'Log in as root, or as somebody who becomes root by `sudo -n`.',
    );
  if (/host key verification failed|host identification has changed/i.test(said))
    return error(
      'host-key-unknown',
      `${target} shows a key that is not known here.`,
      "Take its key from where the host was made (an output of the stack, its console) into a file: --known-hosts FILE. A scan of the host's own port proves nothing.",
    );
  if (/permission denied|too many authentication failures/i.test(said))
    return error(
      'host-denied',
      `${target} takes none of your keys.`,
      "Name the right one: --key FILE. It has to be one of the host's operators.",
    );
  return error(
    'host-unreachable',
    `${target} does not answer: ${last || 'the connection ended'}`,
    'Is it up, and is port 22 open to the address that you come from? Running this again goes on where it ended.',
    true,
  );
}
