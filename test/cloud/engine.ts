import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { stackFile } from '../infra/plan.ts';
import { backblaze, type BackblazeDouble } from './backblaze.ts';
import { bucketNames } from './buckets.ts';
import { digitalOcean, type DigitalOceanDouble, type DigitalOceanOptions } from './digitalocean.ts';
import { pulumiCli } from './pulumi-cli.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const plugins = join(root, 'test/cloud/plugins');
const sdk = join(root, 'node_modules/@pulumi/pulumi');

export interface Ran {
  code: number;
  /** Standard output and standard error, as they came. */
  text: string;
  seconds: number;
}

export interface Engine {
  cloud: DigitalOceanDouble;
  b2: BackblazeDouble;
  buckets: Set<string>;
  /** Where the state lies; a second stack of one engine shares it. */
  folder: string;
  pulumi: (...args: string[]) => Promise<Ran>;
  /** The same, with the process in hand. */
  start: (...args: string[]) => { child: ChildProcess; ran: Promise<Ran> };
  /** Writes the stack's file with some keys replaced, and its secrets. */
  configure: (stack: string, changes?: Record<string, unknown>) => Promise<void>;
  close: () => Promise<void>;
}

/** A value for each example of the committed files: with the examples a run is refused. */
const OURS = {
  production: {
    'build-factory:zone': 'factory.test',
    'build-factory:sshFrom': ['10.9.8.7/32'],
    'build-factory:size': 's-2vcpu-4gb',
    'build-factory:backups': [
      { provider: 'b2', bucket: 'ours-production', region: 'eu-central-003' },
      { provider: 'spaces', bucket: 'ours-production-2', region: 'fra1' },
    ],
  },
  staging: {
    'build-factory:zone': 'factory.test',
    'build-factory:sshFrom': ['10.9.8.7/32'],
    'build-factory:backups': [{ provider: 'spaces', bucket: 'ours-staging', region: 'fra1' }],
  },
};

/** Plugins as programs on PATH, each run by the project's Node. */
function wrappers(folder: string): void {
  mkdirSync(folder);
  const write = (name: string, line: string): void =>
    writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  const node = `exec '${process.execPath}' --import '${plugins}/end-with-parent.ts'`;
  write('pulumi-language-nodejs', `${node} '${plugins}/language-host.ts' "$@"`);
  for (const name of ['digitalocean', 'aws']) {
    const manifest = readFileSync(join(root, `node_modules/@pulumi/${name}/package.json`), 'utf8');
    const { version } = JSON.parse(manifest) as { version: string };
    write(`pulumi-resource-${name}`, `PLUGIN_VERSION=${version} ${node} '${plugins}/provider.ts' "$@"`);
  }
  write('pulumi-resource-pulumi-nodejs', `${node} '${sdk}/cmd/dynamic-provider/index.js' "$@"`);
}

/** The real Pulumi engine on the real program, with doubles of everything that is somebody else's. */
export async function engine(
  options: DigitalOceanOptions = {},
  settings: Record<string, string> = {},
): Promise<Engine> {
  const cli = pulumiCli();
  const folder = mkdtempSync(join(tmpdir(), 'factory-engine-'));
  const [cloud, b2] = await Promise.all([digitalOcean(options), backblaze()]);
  // Backblaze's buckets are made by the S3 API and then known to its native one.
  const buckets = await bucketNames((name) => b2.buckets.set(name, `id of ${name}`));
  wrappers(join(folder, 'bin'));
  mkdirSync(join(folder, 'state'));
  const project = join(folder, 'project');
  mkdirSync(project);
  // Pulumi writes into the stack's file, so the program is looked at from another folder.
  for (const name of ['Pulumi.yaml', 'package.json', 'infra', 'node_modules'])
    symlinkSync(join(root, name), join(project, name));
  const env = {
    PATH: [join(folder, 'bin'), dirname(process.execPath), process.env.PATH ?? ''].join(delimiter),
    HOME: folder,
    PULUMI_HOME: join(folder, 'home'),
    PULUMI_BACKEND_URL: `file://${join(folder, 'state')}`,
    PULUMI_CONFIG_PASSPHRASE: 'correct horse',
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    DIGITALOCEAN_API_URL: cloud.url,
    BUCKETS_URL: buckets.url,
    ...settings,
  };

  const start: Engine['start'] = (...args) => {
    const began = Date.now();
    const child = spawn(cli, [...args, '--non-interactive', '--color=never'], {
      cwd: project,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const ran = new Promise<Ran>((resolve) => {
      child.on('close', (code) => resolve({ code: code ?? 137, text, seconds: (Date.now() - began) / 1000 }));
    });
    return { child, ran };
  };
  const pulumi: Engine['pulumi'] = (...args) => start(...args).ran;

  return {
    ...{ cloud, b2, buckets: buckets.names, folder, pulumi, start },
    configure: async (stack, changes = {}) => {
      const values = {
        ...stackFile(stack),
        ...OURS[stack as keyof typeof OURS],
        'build-factory:b2Endpoint': b2.url,
        ...changes,
      };
      const path = join(project, `Pulumi.${stack}.yaml`);
      writeFileSync(path, stringify({ config: values }));
      await pulumi('stack', 'init', stack);
      const secrets = {
        'digitalocean:token': cloud.token,
        'build-factory:b2KeyId': b2.keyId,
        'build-factory:b2Key': b2.key,
      };
      const pairs = Object.entries(secrets).flatMap(([key, value]) => ['--secret', `${key}=${value}`]);
      const { code, text } = await pulumi('config', 'set-all', ...pairs, '-s', stack);
      if (code !== 0) throw new Error(text);
    },
    close: async () => {
      await Promise.all([cloud.close(), b2.close(), buckets.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
