import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { droppedKeys, unusableKeys } from '../../../scripts/lib/keys/dropped.ts';
import { keyFiles } from '../../../scripts/lib/keys/replica.ts';
import type { Replica } from '../../../scripts/lib/keys/replica.ts';
import { openJournal } from '../../../service/chat/erasure/journal.ts';
import { openKeyFile } from '../../../service/chat/keys/key-file.ts';
import { openChatKeys } from '../../../service/chat/keys/keys.ts';

const INSTALLATION = 'an-installation';
const AT = '2026-05-01T00:00:00.000Z';

function keyring() {
  const dir = mkdtempSync(join(tmpdir(), 'factory-dropped-'));
  const keys = openChatKeys({ keyringDir: dir, installation: INSTALLATION, expected: false });
  const journal = openJournal({
    ...{ keyringDir: dir, installation: INSTALLATION, key: keys.journalKey(), finished: 0 },
  });
  onTestFinished(() => {
    journal.close();
    keys.close();
    rmSync(dir, { recursive: true });
  });
  for (const subject of ['ada', 'ben']) keys.addSubject(subject);
  for (const session of ['one', 'two']) keys.current(session, 'ada');
  keys.current('one', 'ben');
  const copy = (): Replica => ({
    ...{ format: 'build-factory/keyring/1', name: 'factory', sequence: 1, madeAt: AT },
    files: keyFiles(dir),
    signature: { publicKey: '', value: '' },
  });
  return { dir, keys, journal, copy };
}

describe('a copy of the keyring against the one before it', () => {
  it('is taken where nothing went, where more came, and where the journal says what went', () => {
    const { keys, journal, copy } = keyring();
    const before = copy();
    expect(droppedKeys(before, copy())).toBeNull();
    keys.current('three', 'ben');
    journal.append(AT, {
      ...{ kind: 'delete-session', session: 'two', subject: 'ada', lookup: 'x', cause: 'person' },
    });
    keys.forgetSession('two');
    journal.append(AT, { kind: 'erase-subject', subject: 'ben', lookup: 'y', erasure: 'e' });
    keys.forgetSubject('ben');
    expect(droppedKeys(before, copy())).toBeNull();
  });

  it('is taken where a content key was replaced by a newer one', () => {
    const { keys, copy } = keyring();
    const before = copy();
    const old = keys.current('one', 'ada').id;
    keys.retire();
    keys.current('one', 'ada');
    keys.forgetContent(old);
    expect(droppedKeys(before, copy())).toBeNull();
  });

  it('is refused where a key went without a word', () => {
    const { keys, copy } = keyring();
    const before = copy();
    keys.forgetSession('two');
    expect(droppedKeys(before, copy())).toContain('content key');
    keys.forgetSubject('ben');
    expect(droppedKeys(before, copy())).toContain('subject ben');
  });

  it('is refused where the file is gone, or the journal was cut or rewritten', () => {
    const { journal, copy } = keyring();
    journal.append(AT, { kind: 'release-hold', hold: 'h', releasedBy: 'p' });
    const before = copy();
    const without = (name: string) => ({
      ...before,
      files: before.files.filter((file) => file.name !== name),
    });
    expect(droppedKeys(before, without('chat-keys.db'))).toContain('chat-keys.db');
    expect(droppedKeys(before, without('erasure-journal.jsonl'))).toContain('entry 1');
    expect(droppedKeys(without('chat-keys.db'), before)).toBeNull();
  });

  it('is refused where a key is another one, though all of them open', () => {
    const [had, has] = [keyring().copy(), keyring().copy()];
    expect(unusableKeys(has)).toBeNull();
    expect(droppedKeys(had, has)).toContain('key of names is another one');
    const { dir, copy, keys } = keyring();
    keys.addSubject('eve');
    const before = copy();
    const file = openKeyFile(join(dir, 'chat-keys.db'));
    file.run('delete from subjects where id = ?', 'eve');
    file.close();
    keys.addSubject('eve');
    expect(droppedKeys(before, copy())).toContain('key of subject eve is another one');
  });

  it.each([
    ['another root key', 'chat-root.key', () => randomBytes(32)],
    ['a root key that is too short', 'chat-root.key', () => randomBytes(3)],
    ['no root key', 'chat-root.key', () => null],
    ['a key file that was cut', 'chat-keys.db', (was: Buffer) => was.subarray(0, 5000)],
    ['a key file of noise', 'chat-keys.db', () => randomBytes(4096)],
  ])('cannot be used with %s', (_what, name, change) => {
    const whole = keyring().copy();
    const files = whole.files.flatMap((file) => {
      const content = file.name === name ? change(Buffer.from(file.base64, 'base64')) : undefined;
      if (content === null) return [];
      return content === undefined ? file : { ...file, base64: content.toString('base64') };
    });
    expect(unusableKeys(whole)).toBeNull();
    expect(unusableKeys({ ...whole, files })).toContain('chat-root.key');
  });

  it('holds the whole key file while it is in use', () => {
    const { dir, keys, copy } = keyring();
    const names = copy().files.map(({ name }) => name);
    expect(names).toEqual(['chat-keys.db', 'chat-root.key', 'erasure-journal.jsonl']);
    keys.addSubject('eve');
    const file = copy().files.find(({ name }) => name === 'chat-keys.db')!;
    expect(Buffer.from(file.base64, 'base64').length).toBe(readFileSync(join(dir, 'chat-keys.db')).length);
  });
});
