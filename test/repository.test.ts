import { existsSync, globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface LockEntry {
  version?: string;
  integrity?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  optionalDependencies?: Record<string, string>;
}
interface Manifest {
  bin: Record<string, string>;
  scripts: Record<string, string>;
  engines: { node: string };
}

describe('package-lock.json', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockEntry> };
  const entries = Object.entries(packages).filter(([path]) => path !== '');

  it('names no registry: any mirror serves it', () => {
    expect(entries.filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
  });

  it('pins every package by its content', () => {
    expect(entries.filter(([, entry]) => !entry.integrity?.startsWith('sha512-'))).toEqual([]);
  });

  it('has no package that runs something on install, but two of the development tools', () => {
    // The launcher installs with --ignore-scripts, and npm 11 asks before it runs one: neither of them is needed.
    const scripts = entries.filter(([, entry]) => entry.hasInstallScript).map(([path]) => path);
    expect(scripts).toEqual(['node_modules/protobufjs', 'node_modules/unrs-resolver']);
  });

  it('holds the builds of every platform, without which npm ci refuses it', () => {
    const missing = Object.entries(packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter(
        (name) =>
          packages[`${path}/node_modules/${name}`] === undefined &&
          packages[`node_modules/${name}`] === undefined,
      ),
    );
    expect(missing).toEqual([]);
  });
});

describe('package.json', () => {
  const manifest = JSON.parse(read('package.json')) as Manifest;

  it('runs nothing on install', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
  });

  it('starts everything by the launcher', () => {
    for (const script of Object.values(manifest.scripts))
      expect(script).toMatch(/^(exec )?node scripts\/launch\.mjs /);
  });

  it('has commands that exist and may be run', () => {
    for (const file of [...Object.values(manifest.bin), '.ci/run', 'scripts/validate-local.sh']) {
      expect(statSync(join(root, file)).mode & 0o111, file).not.toBe(0);
    }
  });
});

describe('decisions', () => {
  const files = readdirSync(join(root, 'docs/decisions')).filter((name) => name.endsWith('.md'));

  it('are numbered without a gap or a repetition', () => {
    const numbers = files
      .map((name) => Number(/^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1]))
      .sort((a, b) => a - b);
    expect(numbers).toEqual(files.map((_, index) => index + 1));
  });

  it.each(files)('%s has its four parts and names tests that exist', (name) => {
    const text = read(join('docs/decisions', name));
    for (const part of ['Context', 'Decision', 'Invariants', 'Price'])
      expect(text).toMatch(new RegExp(`^## ${part}$`, 'm'));
    const tests = text.match(/test\/[\w./-]+\.ts/g) ?? [];
    expect(tests.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(tests.length).toBeGreaterThan(0);
  });
});

describe('documents', () => {
  it.each(['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'])('%s links only to files that exist', (name) => {
    const links = [...read(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '');
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

describe('lint', () => {
  // Types are left out: these rules need none, and planted files are in no project.
  const eslint = new ESLint({
    cwd: root,
    overrideConfig: [
      {
        files: ['**/*.ts'],
        ...tseslint.configs.disableTypeChecked,
        languageOptions: { parserOptions: { project: null, projectService: false } },
      },
    ],
  });
  const rulesBroken = async (filePath: string, code: string): Promise<(string | null)[]> => {
    const [result] = await eslint.lintText(`${code}\n`, { filePath: join(root, filePath) });
    return (result?.messages ?? []).map((message) => message.ruleId);
  };

  it.each<[string, string, string]>([
    ['service/storage/planted.ts', `import '../audit/merkle.ts';`, 'import-x/no-restricted-paths'],
    ['service/access/planted.ts', `import '../http/problem.ts';`, 'import-x/no-restricted-paths'],
    ['service/access/planted.ts', `import '../work-items/store.ts';`, 'import-x/no-restricted-paths'],
    ['service/chat/planted.ts', `import '../work-items/types.ts';`, 'import-x/no-restricted-paths'],
    ['service/handoffs/planted.ts', `import '../work-items/store.ts';`, 'import-x/no-restricted-paths'],
    ['service/work-items/planted.ts', `import '../http/problem.ts';`, 'import-x/no-restricted-paths'],
    ['service/http/api/planted.ts', `import '../web/html.ts';`, 'import-x/no-restricted-paths'],
    ['service/planted.ts', `import '../test/helpers/postgres.ts';`, 'import-x/no-restricted-paths'],
    ['scripts/planted.ts', `import '../service/http/problem.ts';`, 'import-x/no-restricted-paths'],
    ['scripts/planted.ts', `import '../service/work-items/store.ts';`, 'import-x/no-restricted-paths'],
    ['infra/planted.ts', `import '../service/errors.ts';`, 'import-x/no-restricted-paths'],
    ['infra/planted.ts', `import '../scripts/lib/client.ts';`, 'import-x/no-restricted-paths'],
    ['infra/planted.ts', `import '@pulumi/aws';`, '@typescript-eslint/no-restricted-imports'],
    ['infra/planted.ts', `import '@pulumi/aws/s3';`, '@typescript-eslint/no-restricted-imports'],
    ['infra/policy/rules.ts', `import '@pulumi/pulumi';`, '@typescript-eslint/no-restricted-imports'],
    ['infra/lib/prices.ts', `import 'node:fs';`, '@typescript-eslint/no-restricted-imports'],
    ['service/config-names.ts', `import './config.ts';`, 'import-x/no-cycle'],
    ['scripts/planted.ts', `import 'zx';`, '@typescript-eslint/no-restricted-imports'],
    ['service/access/planted.ts', `import 'pg';`, '@typescript-eslint/no-restricted-imports'],
    ['service/work-items/planted.ts', `import 'express';`, '@typescript-eslint/no-restricted-imports'],
    ['service/http/web/planted.ts', `import 'kysely';`, '@typescript-eslint/no-restricted-imports'],
    ['service/work-items/lanes.ts', `import 'node:fs';`, '@typescript-eslint/no-restricted-imports'],
    [
      'service/work-items/gates/planted.ts',
      `import '../store.ts';`,
      '@typescript-eslint/no-restricted-imports',
    ],
    ['service/planted.ts', 'process.exit(1);', 'no-restricted-properties'],
    ['service/planted.ts', 'export enum Planted { One }', 'no-restricted-syntax'],
  ])('finds in %s: %s', async (filePath, code, rule) => {
    expect(await rulesBroken(filePath, code)).toContain(rule);
  });

  it.each<[string, string]>([
    ['service/storage/planted.ts', `import 'pg';`],
    ['scripts/lib/run.ts', `import 'zx';`],
    ['service/access/planted.ts', `import '../work-items/types.ts';`],
    ['service/work-items/gates/planted.ts', `import type {} from '../store.ts';`],
    ['scripts/planted.ts', `import '../service/config-load.ts';`],
    ['service/http/web/planted.ts', `import '../../work-items/types.ts';`],
    ['infra/planted.ts', `import '@pulumi/pulumi'; import '@pulumi/aws/s3/bucket.js';`],
  ])('allows in %s: %s', async (filePath, code) => {
    expect(await rulesBroken(filePath, code)).toEqual([]);
  });
});

describe('committed text', () => {
  const sources = globSync('{service,scripts,test,bench,docs}/**/*.{ts,mjs,md}', { cwd: root });

  it.each(['only', 'skip', 'todo'])('holds no test marked .%s', (word) => {
    const marked = new RegExp(`\\b(it|test|describe)\\.${word}\\(`);
    expect(sources.filter((path) => path.startsWith('test/') && marked.test(read(path)))).toEqual([]);
  });
});
