import { describe, expect, it } from 'vitest';
import { detect } from '../../../service/chat/sensitive/detect.ts';
import { createRandom } from '../../acceptance/random.ts';

/** Forms that services document and the corpus does not have, and what only its place gives away. */

const random = createRandom(61);
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const HEX = '0123456789abcdef';
const ALNUM = `0123456789${LOWER}${LOWER.toUpperCase()}`;
const p = (count: number, of = ALNUM): string =>
  Array.from({ length: count }, () => of[random.below(of.length)]).join('');
const hex = (count: number): string => p(count, HEX);
const uuid = (): string => `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`;
const b64 = (text: string): string => Buffer.from(text).toString('base64');

const found = (text: string): string[] =>
  detect(text, ['secrets']).map(({ start, end }) => text.slice(start, end));

describe('a form', () => {
  it.each<[string, () => string]>([
    ['NVIDIA', () => `nvapi-${p(64)}`],
    ['Pinecone', () => `pcsk_${p(6)}_${p(63)}`],
    ['Tavily', () => `tvly-dev-${p(32)}`],
    ['LangSmith', () => `lsv2_pt_${hex(32)}_${hex(10)}`],
    ['ElevenLabs', () => `sk_${hex(48)}`],
    ['Fireworks', () => `fw_${p(19)}a1B`],
    ['Together', () => `tgp_v1_${p(43)}`],
    ['Resend', () => `re_${p(5)}a1B_${p(24)}`],
    ['PostHog', () => `phx_${p(43)}`],
    ['Langfuse', () => `sk-lf-${uuid()}`],
    ['Voyage', () => `pa-${p(40)}a1B`],
    ['Cerebras', () => `csk-${p(48, LOWER + HEX.slice(0, 10))}`],
    ['Jina', () => `jina_${p(60)}`],
    ['Firecrawl', () => `fc-${hex(32)}`],
    ['E2B', () => `e2b_${hex(40)}`],
    ['Weights & Biases', () => `wandb_v1_${p(70)}`],
    ['Bitbucket', () => `ATBB${p(32)}`],
    ['Bitbucket, of an app', () => `ATCTT3xFfGN0${p(170)}=${p(8, 'ABCDEF0123456789')}`],
    ['Facebook', () => `EAA${p(180)}`],
    ['DeepSeek', () => `sk-${hex(32)}`],
    ['Okta', () => `SSWS 00${p(40)}`],
    ['a token with EXAMPLE in it', () => `ghp_${p(14)}EXAMPLE${p(15)}`],
    ['an AWS key with EXAMPLE in it', () => `AKIA${p(9, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}EXAMPLE`],
  ])('of %s', (_, write) => {
    for (let n = 0; n < 20; n += 1) {
      const secret = write();
      const text = `please look at ${secret} ok`;
      expect(found(text), text).toEqual([secret]);
    }
  });
});

describe('a place', () => {
  const word = (): string => `${p(9)}7Q`;
  it.each<[string, () => [before: string, secret: string, after: string]]>([
    ['a header of Okta', () => ['Authorization: SSWS ', `00${p(40)}`, '']],
    ['.netrc', () => ['machine api.heroku.com login a@b.co password ', word(), '\n']],
    ['.netrc, in lines', () => ['machine api.corp\n  login bob\n  password ', word(), '\nmachine x']],
    ['.pgpass', () => ['db.int:5432:prod:bob:', word(), '\n']],
    ['the file of Docker', () => ['{"auths":{"r.io":{"auth":"', b64(`bob:${p(16)}`), '"}}}']],
    ['SQL', () => ["ALTER USER bob WITH PASSWORD '", `${p(12)}1!`, "';"]],
    ['SQL of MySQL', () => ["CREATE USER bob IDENTIFIED BY '", `${p(12)}1!`, "';"]],
    ['sshpass', () => ["sshpass -p '", `${p(12)}7!`, "' ssh h"]],
    ['sshpass, without quotes', () => ['sshpass -p ', `${p(12)}7!`, ' ssh h']],
    ['mysql', () => ['mysql -u root -p', word(), ' prod']],
    ['mysqldump', () => ["mysqldump --opt -p'", word(), "' prod > x"]],
    ['Algolia', () => ['ALGOLIA_ADMIN_KEY=', hex(32), '\n']],
    ['a variable beside its name', () => ['{"name":"DB_PASSWORD","value":"', word(), '"}']],
    ['YAML of Kubernetes', () => ['- name: DB_PASSWORD\n  value: ', word(), '\n']],
    ['an option', () => ['mysql --password ', word(), ' prod']],
    ['elements of a list', () => ['["mysql", "--password", "', word(), '"]']],
    ['a quote in the value', () => ['{"password":"', `ab\\"${word()}`, '"}']],
    ['a slash before it', () => ['password: "', `/kJ8s!${word()}`, '"']],
    ['a dollar before it', () => ['password: "', `$kJ8s!${word()}`, '"']],
    ['an at sign before it', () => ['password=', `@kJ8s!${word()}`, '\n']],
    ['"dummy" in it', () => ['DB_PASSWORD=', `dummyK9s83hJk${p(2)}`, '\n']],
    ['a tag in it', () => ['password="', `Tr0u<b>4d${p(4)}`, '"']],
  ])('%s', (_, write) => {
    for (let n = 0; n < 20; n += 1) {
      const [before, secret, after] = write();
      const all = found(before + secret + after);
      expect(all, before + secret).toHaveLength(1);
      expect(all[0]).toContain(secret);
      // Nothing but what is a form of its own with it.
      expect(all[0]!.length - secret.length).toBeLessThanOrEqual(5);
    }
  });

  it('a signature of Azure', () => {
    for (let n = 0; n < 20; n += 1) {
      const signature = encodeURIComponent(Buffer.from(p(32)).toString('base64'));
      const text = `https://x.blob.core.windows.net/c?sv=2020&sig=${signature}`;
      expect(found(text)).toEqual([signature]);
    }
  });

  it.each(['\n', '\r\n', '\\n'])('a key file of PuTTY, with %j between its lines', (end) => {
    const lines = [p(64), p(64), p(40)].map((line) => `${line}${end}`).join('');
    const text = `PuTTY-User-Key-File-2: ssh-rsa${end}Public-Lines: 1${end}AAAA${end}Private-Lines: 3${end}${lines}Private-MAC: 1`;
    expect(found(text).join()).toContain(lines.slice(0, 160));
  });
});

describe('none of them', () => {
  it.each([
    'AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    'password: /run/secrets/db_password_1',
    'DB_PASSWORD_FILE=/etc/x509/key1.pem',
    'password: $DB_PASSWORD1',
    'password: "${DB_PASSWORD}!1"',
    'curl --data-binary --token @token1.txt',
    'password="<your-password-1>"',
    'API_TOKEN=your-api-token-here-2024',
    'token = "example-token-1234567890"',
    'the --password option takes 12 characters',
    '--token-file /run/secrets/token1',
    'docker run -p 8080:80 mysql:8',
    'mysql -p prod1',
    'ports: ["127.0.0.1:5432:5432"]',
    'the machine learning login page asks for a password every day',
    '{"auth": "bearer", "author": "Ada"}',
    'class="pa-some-thing-that-has-dashes-and-is-43-chars"',
    're_compile8_aaaaaaaaaaaaaaaaaaaaaaaa',
    'primary_key=user_id_1',
    'sig=abc&x=1',
    "it('asks for a password', 'x1y2')",
    'name: DB_PASSWORD\nvalueFrom: secretKeyRef1',
  ])('%s', (text) => expect(found(text)).toEqual([]));
});
