import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { startVersity } from '../s3/server.ts';
import { engine, type Engine, type Ran } from './engine.ts';

let world: Engine;
afterEach(async () => {
  expect([world.cloud.violations, world.b2.violations]).toEqual([[], []]);
  await world.close();
});

async function begin(stack = 'production', changes: Record<string, unknown> = {}): Promise<void> {
  world = await engine();
  await world.configure(stack, changes);
}
async function well(...args: string[]): Promise<Ran> {
  const ran = await world.pulumi(...args);
  expect(ran.code, ran.text).toBe(0);
  return ran;
}
async function badly(...args: string[]): Promise<string> {
  const ran = await world.pulumi(...args);
  expect(ran.code, ran.text).not.toBe(0);
  return ran.text;
}
const up = (stack = 'production'): Promise<Ran> => well('up', '--yes', '--skip-preview', '-s', stack);
/** Everything that the account has, by kind: what a double create would raise. */
const counts = (): Record<string, number> => ({
  droplets: world.cloud.state.droplets.size,
  reservedIps: world.cloud.state.reservedIps.size,
  firewalls: world.cloud.state.firewalls.size,
  vpcs: world.cloud.state.vpcs.size,
  sshKeys: world.cloud.state.sshKeys.size,
  domains: world.cloud.state.domains.size,
  records: [...world.cloud.state.records.values()].filter((one) => one.type !== 'NS').length,
  // One is the account's default.
  projects: world.cloud.state.projects.size - 1,
  spacesKeys: world.cloud.state.spacesKeys.size,
  b2Keys: world.b2.keys.size,
  buckets: world.buckets.size,
});
const PRODUCTION = {
  ...{ droplets: 1, reservedIps: 1, firewalls: 1, vpcs: 1, sshKeys: 1, domains: 1, records: 2, projects: 1 },
  ...{ spacesKeys: 2, b2Keys: 2, buckets: 2 },
};
/** All that Pulumi stores. */
function state(): string {
  const folder = join(world.folder, 'state');
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}
/** Whether what lies in the state's folder is whole: a file that is being written is not. */
function creating(type: string): boolean {
  const path = join(world.folder, 'state/.pulumi/stacks/build-factory/production.json');
  try {
    const { checkpoint } = JSON.parse(readFileSync(path, 'utf8')) as {
      checkpoint: { latest: { pending_operations?: { resource: { type: string } }[] } };
    };
    return (checkpoint.latest.pending_operations ?? []).some((one) => one.resource.type === type);
  } catch {
    return false;
  }
}
/** The engine and its plugins die at once, as when a machine does; first they stand still, so that nothing is in between. */
async function killWhen(condition: () => boolean, ...args: string[]): Promise<void> {
  const { child, ran } = world.start(...args);
  const group = -(child.pid as number);
  for (;;) {
    process.kill(group, 'SIGSTOP');
    // A thread that is writing stops a moment later.
    await sleep(100);
    if (condition()) break;
    process.kill(group, 'SIGCONT');
    await sleep(10);
  }
  process.kill(group, 'SIGKILL');
  await ran;
}
const posts = (path: string): number =>
  world.cloud.calls.filter((call) => call === `POST /v2/${path}`).length;
/** What the program tells to type, without `npm run infra --`. */
/** Does what a failed run says: takes over what was made, deletes keys whose secret nobody has. */
async function follow(text: string): Promise<void> {
  const lines = new Set([...text.matchAll(/npm run infra -- (import .*)/g)].map((match) => match[1] ?? ''));
  for (const line of lines) await well(...line.split(' '), '--yes', '--generate-code=false');
  for (const [, id = ''] of text.matchAll(/\((\w+)\), whose secret this stack does not know/g)) {
    world.b2.keys.delete(id);
    world.cloud.state.spacesKeys.delete(id);
  }
}

describe('production on the real engine', () => {
  it('goes up, changes nothing the second time, mends drift, and is not destroyed', async () => {
    await begin();
    const preview = await well('preview', '-s', 'production');
    expect(counts()).toMatchObject({ droplets: 0, buckets: 0, b2Keys: 0 });
    const first = await up();
    expect(counts()).toEqual(PRODUCTION);
    const second = await well('up', '--yes', '--expect-no-changes', '-s', 'production');
    process.stdout.write(
      `preview ${preview.seconds} s, up ${first.seconds} s, no-op up ${second.seconds} s\n`,
    );

    // The address leads to the droplet, which is in its network and behind its firewall.
    const [droplet] = [...world.cloud.state.droplets.values()];
    const [ip] = [...world.cloud.state.reservedIps.values()];
    const [firewall] = [...world.cloud.state.firewalls.values()];
    expect(ip?.droplet).toMatchObject({ id: droplet?.id });
    expect(firewall?.droplet_ids).toEqual([droplet?.id]);
    expect(world.cloud.state.vpcs.has(droplet?.vpc_uuid as string)).toBe(true);
    const { text } = await well('stack', 'output', '--json', '-s', 'production');
    expect(JSON.parse(text)).toMatchObject({
      address: ip?.ip,
      backupCredentials: '[secret]',
      url: 'https://factory.test',
    });

    // Somebody opened the firewall by hand.
    if (firewall !== undefined) firewall.inbound_rules = [];
    expect((await well('preview', '--refresh', '--diff', '-s', 'production')).text).toContain(
      '~ digitalocean:index/firewall',
    );
    await well('up', '--refresh', '--yes', '-s', 'production');
    expect([...world.cloud.state.firewalls.values()][0]?.inbound_rules).toHaveLength(3);

    expect(await badly('destroy', '--yes', '-s', 'production')).toMatch(/protected/);
    expect(counts()).toMatchObject({ droplets: 1, reservedIps: 1, domains: 1, buckets: 2 });
  });

  it('writes no secret into its state or its output in clear', async () => {
    await begin();
    const { text } = await up();
    const b2 = [...world.b2.keys.values()].map((key) => key.secret);
    expect(b2).toHaveLength(2);
    const { text: shown } = await well('stack', 'output', '--json', '--show-secrets', '-s', 'production');
    const { backupCredentials } = JSON.parse(shown) as { backupCredentials: string[] };
    const spaces = /aws_secret_access_key = (.+)/.exec(backupCredentials[1] ?? '')?.[1] ?? '';
    expect(spaces).toMatch(/.{20}/);
    for (const secret of [...b2, spaces, world.cloud.token, world.b2.key]) {
      expect(state()).not.toContain(secret);
      expect(text).not.toContain(secret);
    }
  });

  it('waits through rate limits and hiccups of what only reads', async () => {
    await begin();
    world.cloud.fault({ method: 'GET', path: /droplets/, kind: 429, times: 2 });
    world.cloud.fault({ method: 'GET', path: /vpcs/, kind: 500, times: 2 });
    await up();
    expect(counts()).toEqual(PRODUCTION);
  });

  it('ends in one line before anything is made: above the budget, with examples, with a wrong key', async () => {
    await begin();
    for (const [changes, message] of [
      [{ 'build-factory:monthlyBudget': 10 }, /raise monthlyBudget/],
      [{ 'build-factory:zone': 'example.org' }, /is an example; write your own domain/],
      [{ 'build-factory:regin': 'fra1' }, /did you mean region\?/],
    ] as const) {
      await world.configure('production', changes);
      const text = await badly('up', '--yes', '--skip-preview', '-s', 'production');
      expect(text).toMatch(message);
      expect(text).not.toMatch(/\n {4}at /);
    }
    expect(world.cloud.calls).toEqual([]);
  });
});

describe('the state in a bucket', () => {
  it('holds what was made, locked while it runs, for whoever comes next', async () => {
    const server = await startVersity();
    await server.bucket('state', { versioned: true });
    const address = encodeURIComponent(server.endpoint);
    world = await engine(
      {},
      {
        PULUMI_BACKEND_URL: `s3://state?endpoint=${address}&use_path_style=true&region=us-east-1`,
        AWS_ACCESS_KEY_ID: 'root',
        AWS_SECRET_ACCESS_KEY: 'root-secret',
      },
    );
    await world.configure('staging', { 'build-factory:host': 'own' });
    await up('staging');
    await well('up', '--yes', '--skip-preview', '--expect-no-changes', '-s', 'staging');
    expect(counts()).toMatchObject({ droplets: 1, spacesKeys: 2, buckets: 1 });
    expect(existsSync(join(server.data, 'state/.pulumi/stacks/build-factory/staging.json'))).toBe(true);
  });
});

describe('the policy pack', () => {
  it('lets the plan pass', async () => {
    await begin();
    const { text } = await well('preview', '--policy-pack', 'infra/policy', '-s', 'production');
    expect(text).toMatch(/build-factory@v[\d.]+ \(local/);
  });

  it('refuses a program that does not guard itself', async () => {
    world = await engine();
    const folder = join(world.folder, 'other');
    mkdirSync(folder);
    symlinkSync(join(world.folder, 'project/node_modules'), join(folder, 'node_modules'));
    const file = (name: string, text: string): void => writeFileSync(join(folder, name), text);
    file(
      'Pulumi.yaml',
      'name: other\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.mjs\n',
    );
    file('package.json', '{ "name": "other", "version": "1.0.0", "type": "module" }');
    file(
      'index.mjs',
      "import { SpacesBucket } from '@pulumi/digitalocean/spacesBucket.js';\n" +
        "new SpacesBucket('open', { name: 'open-to-all', acl: 'public-read', region: 'fra1' });\n",
    );
    await well('-C', folder, 'stack', 'init', 'dev');
    const pack = join(world.folder, 'project/infra/policy');
    const text = await badly('-C', folder, 'preview', '--policy-pack', pack, '-s', 'dev');
    expect(text).toContain('its acl is public-read');
    expect(text).toContain('it holds data and is not protected');
    await well('-C', folder, 'preview', '-s', 'dev');
  });
});

describe('a run that was cut off', () => {
  it('killed while a droplet is made: found, taken over, and never doubled', async () => {
    world = await engine({ pendingReads: 400 });
    await world.configure('production');
    const making = (): boolean =>
      world.cloud.state.droplets.size === 1 && creating('digitalocean:index/droplet:Droplet');
    await killWhen(making, 'up', '--yes', '--skip-preview', '-s', 'production');
    expect(await badly('up', '--yes', '--skip-preview', '-s', 'production')).toMatch(/locked|lock/);
    await well('cancel', '--yes', '-s', 'production');
    const text = await badly('up', '--yes', '--skip-preview', '-s', 'production');
    expect(text).toMatch(/Not created: the account has the droplet factory-production-1 already/);
    expect(counts().droplets).toBe(1);
    world.cloud.settle();
    await follow(text);
    let left = await world.pulumi('up', '--yes', '--skip-preview', '-s', 'production');
    for (let n = 0; left.code !== 0 && n < 5; n += 1) {
      world.cloud.settle();
      await follow(left.text);
      left = await world.pulumi('up', '--yes', '--skip-preview', '-s', 'production');
    }
    expect(left.code, left.text).toBe(0);
    expect(counts()).toEqual(PRODUCTION);
  });

  it.each(['reserved_ips', 'vpcs'])('whose answer to POST %s was lost', async (path) => {
    await begin();
    world.cloud.fault({ method: 'POST', path: new RegExp(`/${path}$`), kind: 'lost', times: 1 });
    await badly('up', '--yes', '--skip-preview', '-s', 'production');
    const text = await badly('up', '--yes', '--skip-preview', '-s', 'production');
    expect(text).toContain('Not created');
    expect(posts(path)).toBe(1);
    await follow(text);
    await up();
    expect(counts()).toEqual(PRODUCTION);
  });

  it('two at once: the second says who holds the lock', async () => {
    world = await engine({ pendingReads: 60 });
    await world.configure('production');
    const first = world.start('up', '--yes', '-s', 'production');
    while (posts('droplets') === 0) await sleep(5);
    expect(await badly('up', '--yes', '--skip-preview', '-s', 'production')).toMatch(/currently locked/);
    expect((await first.ran).code).toBe(0);
    expect(counts()).toEqual(PRODUCTION);
  });
});

describe('staging on the real engine', () => {
  it('on the same VPS makes its name, bucket and keys, and nothing else', async () => {
    await begin();
    await up();
    await world.configure('staging', { 'build-factory:host': 'production' });
    await up('staging');
    expect(counts()).toEqual({ ...PRODUCTION, records: 4, projects: 2, spacesKeys: 4, buckets: 3 });
    const address = [...world.cloud.state.reservedIps.keys()][0];
    const names = [...world.cloud.state.records.values()]
      .filter((one) => one.type === 'A')
      .map(({ name, data }) => [name, data]);
    expect(names).toEqual([
      ['@', address],
      ['staging', address],
    ]);
    await well('up', '--yes', '--expect-no-changes', '-s', 'production');
  });

  it('on a VPS of its own shares nothing with production', async () => {
    await begin();
    await up();
    const production = [...world.cloud.state.droplets.values()][0];
    const operator = {
      name: 'ben',
      sshKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq0Yl0Zf2o6tNk1mDwBqzR9V8hXy5cJtGkWl3uQe7Pa ben',
    };
    await world.configure('staging', { 'build-factory:host': 'own', 'build-factory:operators': [operator] });
    await up('staging');
    expect(counts()).toMatchObject({
      droplets: 2,
      reservedIps: 2,
      firewalls: 2,
      vpcs: 2,
      domains: 1,
      records: 4,
    });
    const staging = [...world.cloud.state.droplets.values()][1];
    expect(staging?.name).toBe('factory-staging-1');
    expect(staging?.vpc_uuid).not.toBe(production?.vpc_uuid);
  });
});
