import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadAuditKeys, readVerifierKeys } from '../../service/audit/keys.ts';

let root: string;
let dir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'audit-keys-'));
  dir = join(root, 'keyring');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const failsWith = (code: string) => expect.objectContaining({ code, name: 'FactoryError' });

describe('audit keys', () => {
  it('are made once, for the owner alone', () => {
    const keys = loadAuditKeys(dir, 'here', false);
    expect(keys.origin).toBe('build-factory/here/audit/v1');
    expect([mode(dir), mode(join(dir, 'audit-signing.pem')), mode(join(dir, 'commitment.key'))]).toEqual([
      '700',
      '600',
      '600',
    ]);
    expect(readFileSync(join(dir, 'audit-log.vkey'), 'utf8')).toBe(`${keys.vkey}\n`);
    const again = loadAuditKeys(dir, 'here', true);
    expect([again.vkey, again.commitment]).toEqual([keys.vkey, keys.commitment]);
    expect(loadAuditKeys(dir, 'here', false).vkey).toBe(keys.vkey);
    expect(readVerifierKeys(dir)).toEqual({ vkey: keys.vkey, commitment: keys.commitment });
  });

  it('give the public half back where it is gone', () => {
    const { vkey } = loadAuditKeys(dir, 'here', false);
    unlinkSync(join(dir, 'audit-log.vkey'));
    expect(loadAuditKeys(dir, 'here', true).vkey).toBe(vkey);
    expect(readVerifierKeys(dir).vkey).toBe(vkey);
  });

  it('can be the public half alone', () => {
    const { vkey } = loadAuditKeys(dir, 'here', false);
    unlinkSync(join(dir, 'commitment.key'));
    expect(readVerifierKeys(dir)).toEqual({ vkey, commitment: null });
  });

  it.each(['audit-signing.pem', 'commitment.key'])('are an error without %s beside a log', (name) => {
    loadAuditKeys(dir, 'here', false);
    unlinkSync(join(dir, name));
    expect(() => loadAuditKeys(dir, 'here', true)).toThrow(failsWith('audit-key-missing'));
  });

  it.each(['audit-signing.pem', 'commitment.key'])('are an error with rubbish in %s', (name) => {
    loadAuditKeys(dir, 'here', false);
    writeFileSync(join(dir, name), 'rubbish');
    expect(() => loadAuditKeys(dir, 'here', true)).toThrow(failsWith('audit-key-unreadable'));
    expect(() => loadAuditKeys(dir, 'here', false)).toThrow(failsWith('audit-key-unreadable'));
  });

  it('are an error where they belong to another installation', () => {
    loadAuditKeys(dir, 'here', false);
    expect(() => loadAuditKeys(dir, 'there', true)).toThrow(failsWith('audit-key-foreign'));
  });

  it('are an error where the folder is a file', () => {
    writeFileSync(dir, '');
    expect(() => loadAuditKeys(dir, 'here', false)).toThrow(failsWith('keyring-unwritable'));
    expect(() => readVerifierKeys(dir)).toThrow(failsWith('audit-key-unreadable'));
  });

  it('are an error where one cannot be read', () => {
    loadAuditKeys(dir, 'here', false);
    rmSync(join(dir, 'commitment.key'));
    mkdirSync(join(dir, 'commitment.key'));
    expect(() => loadAuditKeys(dir, 'here', true)).toThrow(failsWith('audit-key-unreadable'));
  });
});
