import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cpuOf } from './cpu.ts';
import { DEFAULT_CLASS } from '../../../service/chat/policy.ts';
import { detect } from '../../../service/chat/sensitive/detect.ts';
import type { Category } from '../../../service/chat/sensitive/hit.ts';
import { keywordFinder } from '../../../service/chat/sensitive/keywords.ts';
import { mask, screenMessage } from '../../../service/chat/sensitive/screen.ts';
import { SECRET_KINDS, secretSample } from '../../acceptance/corpus.ts';
import { createRandom } from '../../acceptance/random.ts';

const found = (text: string, ...of: Category[]) =>
  detect(text, of).map(({ rule, start, end }) => `${rule}: ${text.slice(start, end)}`);

describe('what is no secret', () => {
  it.each([
    'aws_access_key_id = AKIAIOSFODNN7EXAMPLE',
    'password: ${DB_PASSWORD}',
    'PASSWORD=$(cat /run/secrets/db)',
    'password = process.env.DB_PASSWORD',
    'const token = await readToken();',
    'export function login(password: string, token?: string): void',
    'api_key: <your-api-key-here>',
    'secret=xxxxxxxxxxxxxxxxxxxx',
    'DB_PASSWORD=changeme',
    'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    'npm_config_cache=/root/.npm',
    'postgres://user:password@localhost:5432/app',
    'https://example.org/a:b@c',
    'Authorization: Bearer <token>',
    'Authorization: Bearer $TOKEN',
    'the password has to have 12 characters or more',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904',
    'tokenizer: gpt-4o-mini-2024-07-18',
    'id 01a2189c-f42f-7562-8744-d3fff497441e of the session',
    '-----BEGIN PRIVATE KEY----- is how the file begins',
  ])('%s', (text) => expect(found(text, 'secrets')).toEqual([]));
});

describe('what people write without thinking', () => {
  it.each([
    ['curl -u admin:s3cretPa55 https://api.corp/x', 's3cretPa55'],
    ["curl --user 'admin:s3cretPa55' https://api.corp/x", 's3cretPa55'],
    ['the wifi password is Sommer2026!', 'Sommer2026!'],
    ['kennwort=Blumen4711', 'Blumen4711'],
    ['SMTP_PASS=Blumen4711', 'Blumen4711'],
  ])('%s', (text, secret) => expect(found(text, 'secrets').join()).toContain(`: ${secret}`));

  it.each([
    'docker run -u 1000:1000 image, and sort -u lines:12345678a',
    'the password is required, and a token is needed for v2',
    'the password is wrong',
  ])('and what only looks like it: %s', (text) => expect(found(text, 'secrets')).toEqual([]));
});

describe('what is of a person', () => {
  it.each<[string, string[]]>([
    ['mail ada@lovelace.dev.', ['email-address: ada@lovelace.dev']],
    ['git@github.com:team/repo, noreply@host.dev, ada@example.org, you@host.test', []],
    [
      'call +1 (415) 555-2671 or (415) 555-2671',
      ['phone-number: +1 (415) 555-2671', 'phone-number: (415) 555-2671'],
    ],
    ['a +12345 and x+123456789012, 2026-05-01T10:00:00+02:00', []],
    [
      'GB29 NWBK 6016 1331 9268 19 and DE89370400440532013000',
      ['iban: GB29 NWBK 6016 1331 9268 19', 'iban: DE89370400440532013000'],
    ],
    ['DE89 3704 0044 0532 0130', []],
    ['paid with 4111-1111-1111-1111', ['payment-card: 4111-1111-1111-1111']],
    ['paid with 4111-1111-1111-1112, at 1714550400000', []],
    ['378282246310005 5555555555554444', ['payment-card: 378282246310005', 'payment-card: 5555555555554444']],
  ])('%s', (text, expected) => expect(found(text, 'personal')).toEqual(expected));

  it.each<[string, string[]]>([
    ['SSN 123-45-6789', ['us-social-security: 123-45-6789']],
    ['000-12-3456 666-12-3456 123-00-4567 2026-05-01', []],
    ['NI AB 12 34 56 C', ['uk-national-insurance: AB 12 34 56 C']],
    ['AHV 756.9217.0769.85', ['swiss-social-security: 756.9217.0769.85']],
    ['756.9217.0769.84', []],
    ['1 85 05 78 006 084 91', ['french-social-security: 1 85 05 78 006 084 91']],
    ['DNI 12345678Z, NIE X1234567L', ['spanish-identity: 12345678Z', 'spanish-identity: X1234567L']],
    ['12345678A', []],
    ['RSSMRA85T10A562S', ['italian-fiscal-code: RSSMRA85T10A562S']],
    ['CPF 529.982.247-25', ['brazilian-cpf: 529.982.247-25']],
    ['PESEL 44051401359', ['polish-pesel: 44051401359']],
    ['811218-9876', ['swedish-personal-number: 811218-9876']],
    ['PAN ABCPE1234F', ['indian-pan: ABCPE1234F']],
  ])('and of a state: %s', (text, expected) => expect(found(text, 'nationalIds')).toEqual(expected));
});

it('finds nothing of what is not asked for', () => {
  const text = `ghp_${'a1B2'.repeat(9)} ada@lovelace.dev 123-45-6789`;
  expect(found(text)).toEqual([]);
  expect(found(text, 'secrets')).toHaveLength(1);
  expect(found(text, 'nationalIds', 'personal', 'secrets')).toHaveLength(3);
});

describe('the time that it takes', () => {
  const MANY = 400_000;
  it.each([
    ['a '.repeat(MANY / 2)],
    ['-----BEGIN PRIVATE KEY-----'.repeat(MANY / 27)],
    ['-eyJ'.repeat(MANY / 4)],
    [`eyJ${'a'.repeat(MANY)}`],
    ['password='.repeat(MANY / 9)],
    [`password="${'a'.repeat(MANY)}`],
    ['"+"'.repeat(MANY / 3)],
    ['a\n'.repeat(MANY / 2)],
    ['://a:'.repeat(MANY / 5)],
    ['AKIA'.repeat(MANY / 4)],
    [' -u'.repeat(MANY / 3)],
    ['curl -u a:'.repeat(MANY / 10)],
    [`${'a'.repeat(63)}@`.repeat(MANY / 64)],
    ['1 '.repeat(MANY / 2)],
    ['DE89 3704 '.repeat(MANY / 10)],
    ['QUtJQQ=='.repeat(MANY / 8)],
    [`"${' '.repeat(30)}`.repeat(MANY / 31)],
    [`authorization: bearer ${'a'.repeat(1000)} `.repeat(MANY / 1023)],
  ])('is within the budget also for %.20j', (text) => {
    // 400 KB in a fifth of the budget that 2 MB have, on a machine that does nothing else.
    expect(cpuOf(text, ['secrets', 'personal', 'nationalIds'])).toBeLessThan(400);
  });

  it('ends with a refusal where it is over', () => {
    const budget = { until: -1, unasked: Infinity };
    expect(() => detect('password=x', ['secrets'], budget)).toThrow(/in time/);
  });
});

describe('what is taken out', () => {
  it('has the length of what was there and the name of its rule', () => {
    expect(mask('iban', 22)).toBe(`[iban${'█'.repeat(16)}]`);
    expect(mask('email-address', 9)).toBe('█'.repeat(9));
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), fc.nat(200), (rule, length) => {
        expect(mask(rule, length)).toHaveLength(length);
      }),
    );
  });

  it('is found no second time, and leaves nothing of itself', () => {
    const random = createRandom(11);
    for (const kind of SECRET_KINDS) {
      const { text, start, end } = secretSample(kind, 'plain', random);
      const screened = screenMessage(DEFAULT_CLASS.sensitive, {
        role: 'user',
        parts: [{ type: 'text', text }],
      });
      const [part] = screened.message.parts;
      const kept = part?.type === 'text' ? part.text : '';
      expect(kept).toHaveLength(text.length);
      expect(kept.includes(text.slice(start, end)), `${kind}: ${text}`).toBe(false);
      const again = screenMessage(DEFAULT_CLASS.sensitive, screened.message);
      expect(again.findings, `${kind}: ${kept}`).toEqual([]);
    }
  });
});

it('finds every word that is there, whatever its case, and where', () => {
  const words = fc.uniqueArray(fc.stringMatching(/^[a-c]{1,4}$/), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(words, fc.stringMatching(/^[a-cA-Cé ]{0,40}$/), (sought, text) => {
      const seen: string[] = [];
      keywordFinder(sought).each(text, (word, start, end) => seen.push(`${sought[word]} ${start} ${end}`));
      const expected = sought.flatMap((word) =>
        Array.from(text, (_, at) => at)
          .filter((at) => text.toLowerCase().startsWith(word, at))
          .map((at) => `${word} ${at} ${at + word.length}`),
      );
      expect(seen.sort()).toEqual(expected.sort());
    }),
  );
});
