import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { makeFolder } from '../service/folders.ts';

const scratch = mkdtempSync(join(tmpdir(), 'folders-'));

it('makes a folder with all that is missing above it, and again nothing', () => {
  const path = join(scratch, 'a', 'b', 'c');
  makeFolder(path, 0o700);
  makeFolder(path, 0o700);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

it.each([
  ['a file is in the way', join(scratch, 'file', 'x'), /ENOTDIR|EEXIST/],
  ['the system has no such place', '/proc/nowhere/x', /ENOENT/],
])('fails at once where %s', (_, path, message) => {
  writeFileSync(join(scratch, 'file'), '');
  expect(() => makeFolder(path)).toThrow(message);
});
