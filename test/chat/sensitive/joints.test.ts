import { createHash, createSecretKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DEFAULT_CLASS } from '../../../service/chat/policy.ts';
import { screenMessage, screenMessages } from '../../../service/chat/sensitive/screen.ts';
import type { Json, MessageInput, Part } from '../../../service/chat/types.ts';
import { secretSample } from '../../acceptance/corpus.ts';
import { createRandom } from '../../acceptance/random.ts';

/** What stands in pieces over the parts of a message, the elements of a list and the messages of a batch. */

const random = createRandom(41);
const token = (): string => {
  const { text, start, end } = secretSample('GitHub classic token', 'plain', random);
  return text.slice(start, end);
};
const policy = DEFAULT_CLASS.sensitive;
const texts = (...all: string[]): MessageInput => ({
  role: 'user',
  parts: all.map((text) => ({ type: 'text', text })),
});
const output = (value: Json): MessageInput => ({
  role: 'tool',
  parts: [{ type: 'tool-result', toolCallId: 'c1', name: 'run', output: value }],
});
const keptOf = (parts: readonly Part[]): string =>
  parts.map((part) => (part.type === 'text' ? part.text : JSON.stringify(part))).join('\n');
const places = (message: MessageInput): string[] =>
  screenMessage(policy, message).findings.map(({ part, start, end }) => `${part}: ${start} to ${end}`);

describe('a secret over two parts', () => {
  it('is taken out of both, and both places are named', () => {
    const secret = token();
    const sent = texts(`t ${secret.slice(0, 20)}`, `${secret.slice(20)} is it`);
    const { message, findings, digests } = screenMessage(policy, sent);
    expect(findings).toEqual([
      { rule: 'github-personal-token', action: 'redact', part: 0, start: 2, end: 22 },
      { rule: 'github-personal-token', action: 'redact', part: 1, start: 0, end: 20 },
    ]);
    const kept = keptOf(message.parts);
    expect(kept).toHaveLength(keptOf(sent.parts).length);
    expect(kept).toMatch(/^t █+\n█+ is it$/);
    // Both are known by the whole of it.
    const key = createSecretKey(createHash('sha256').update('k').digest());
    const [first, second] = digests(key);
    expect([first, second]).toEqual([...screenMessage(policy, texts(`t ${secret}`)).digests(key), first]);
    expect(screenMessage(policy, message).findings).toEqual([]);
  });

  it('is found in three, and where another part stands between', () => {
    const secret = token();
    expect(places(texts(secret.slice(0, 10), secret.slice(10, 20), secret.slice(20)))).toEqual([
      '0: 0 to 10',
      '1: 0 to 10',
      '2: 0 to 20',
    ]);
    const call: Part = { type: 'tool-call', toolCallId: 'c1', name: 'run', input: {} };
    const [before, after] = texts(secret.slice(0, 10), secret.slice(10)).parts;
    expect(places({ role: 'user', parts: [before!, call, after!] })).toEqual(['0: 0 to 10', '2: 0 to 30']);
  });

  it('is found with its name, and in base64', () => {
    expect(places(texts('the password is Som', 'mer2026!'))).toEqual(['0: 16 to 19', '1: 0 to 8']);
    const encoded = Buffer.from(`my token is ${token()}`).toString('base64');
    expect(places(texts(encoded.slice(0, 33), encoded.slice(33)))).toEqual([
      '0: 0 to 33',
      `1: 0 to ${encoded.length - 33}`,
    ]);
  });

  it('is whole in one, and what follows is no end of it', () => {
    const secret = token();
    expect(places(texts(`t ${secret}`, 'What is it for?'))).toEqual(['0: 2 to 42']);
    expect(places(texts(`t ${secret}`, `${secret} again`))).toEqual(['0: 2 to 42', '1: 0 to 40']);
    expect(places(texts(`password: hunter22xyZ`, 'Thanks'))).toEqual(['0: 10 to 21']);
  });
});

describe('a secret over elements of a list', () => {
  it.each<[string, (first: string, second: string) => Json]>([
    ['of texts', (first, second) => [first, second]],
    ['of lines, deeper', (first, second) => ({ log: { lines: ['a', `x ${first}`, second] } })],
    [
      'of objects',
      (first, second) => [
        { type: 'text', text: first },
        { type: 'text', text: second },
      ],
    ],
    ['of lists', (first, second) => [[first], [second]]],
  ])('%s is taken out of both', (_, write) => {
    const secret = token();
    const [first, second] = [secret.slice(0, 20), secret.slice(20)];
    const { message, findings } = screenMessage(policy, output(write(first, second)));
    expect(findings.map(({ rule }) => rule)).toEqual(['github-personal-token', 'github-personal-token']);
    const kept = keptOf(message.parts);
    expect([kept.includes(first), kept.includes(second)]).toEqual([false, false]);
    expect(screenMessage(policy, message).findings).toEqual([]);
  });

  it('leaves other elements as they are', () => {
    const secret = token();
    const { message } = screenMessage(policy, output(['git', secret, 'clone', 'x']));
    expect(keptOf(message.parts)).toMatch(/\["git","\[github[^"]+","clone","x"\]/);
    const lines = Array.from({ length: 3000 }, (_, n) => `line ${n} of a log with words`);
    expect(screenMessage(policy, output(lines)).findings).toEqual([]);
  });
});

describe('a secret over two messages of a batch', () => {
  it('is taken out of both, each with its own place', () => {
    const secret = token();
    const screened = screenMessages(policy, [
      texts(`t ${secret.slice(0, 20)}`),
      texts(`${secret.slice(20)} is it`),
      texts('nothing'),
    ]);
    expect(screened.map(({ findings }) => findings.map(({ start, end }) => [start, end]))).toEqual([
      [[2, 22]],
      [[0, 20]],
      [],
    ]);
    expect(screened.map(({ message }) => keptOf(message.parts)).join('\n')).toMatch(
      /^t █+\n█+ is it\nnothing$/,
    );
  });

  it('is no matter where a role is let in', () => {
    const secret = token();
    const open = { ...policy, roles: { tool: { secrets: 'allow' as const } } };
    const batch = [texts(secret.slice(0, 20)), { ...texts(secret.slice(20)), role: 'tool' as const }];
    expect(screenMessages(open, batch).map(({ findings }) => findings)).toEqual([[], []]);
  });
});

describe('names and values', () => {
  it.each<[string, Json, string]>([
    ['an option and its value', { argv: ['mysql', '--password', 'Kd93!xZ77q'] }, 'Kd93!xZ77q'],
    ['a name beside its value', { env: [{ name: 'DB_PASSWORD', value: 'Kd93!xZ77q' }] }, 'Kd93!xZ77q'],
    ['a key beside its value', [{ key: 'api_token', value: 'k9s83hjk2lw0d7fx4' }], 'k9s83hjk2lw0d7fx4'],
    ['a quote in the value', { password: 'ab"Kd93!xZ77' }, 'Kd93!xZ77'],
    ['a backslash in the value', { password: 'ab\\Kd93!xZ77' }, 'Kd93!xZ77'],
    ['a long key', { apiKey: 'a1B2c3D4e5F6g7H8'.repeat(40) }, 'c3D4e5F6'],
  ])('%s', (_, value, secret) => {
    const { message, findings } = screenMessage(policy, output(value));
    expect(findings.length).toBeGreaterThan(0);
    expect(keptOf(message.parts)).not.toContain(secret);
  });

  it('names of tools and calls are looked at, for secrets only', () => {
    const [first, second] = [token(), token()];
    const part: Part = { type: 'tool-call', toolCallId: first, name: `run ${second}`, input: {} };
    const { message, findings } = screenMessage(policy, { role: 'assistant', parts: [part] });
    expect(findings.map(({ start, end }) => [start, end])).toEqual([
      [0, 40],
      [4, 44],
    ]);
    expect(keptOf(message.parts)).not.toMatch(new RegExp(`${first}|${second}`));
    const held = screenMessage({ ...policy, secrets: 'quarantine' }, { role: 'assistant', parts: [part] });
    expect(keptOf(held.message.parts)).not.toMatch(new RegExp(`${first}|${second}`));
    expect(held.original).toEqual([part]);
    const numbers = { ...part, toolCallId: '4111111111111111', name: 'run' };
    expect(
      screenMessage({ ...policy, personal: 'redact' }, { role: 'assistant', parts: [numbers] }).findings,
    ).toEqual([]);
  });
});
