import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  auditOrigin,
  formatVkey,
  parseCheckpoint,
  parseVkey,
  signCheckpoint,
  verifyCheckpoint,
} from '../../service/audit/checkpoint.ts';
import { EMPTY_ROOT, leafHash } from '../../service/audit/merkle.ts';

const ORIGIN = auditOrigin('01890000-0000-7000-8000-000000000000');
const { privateKey } = generateKeyPairSync('ed25519');
const VKEY = formatVkey(ORIGIN, privateKey);
const ROOT = leafHash('one');
const AT = '2026-03-01T10:00:00.000Z';
const NOTE = signCheckpoint(ORIGIN, privateKey, { size: 12345, root: ROOT, at: AT });

/** The checkpoint that C2SP's own document shows. */
const C2SP = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`;

const failsWith = (code: string) => expect.objectContaining({ code, name: 'FactoryError' });

describe('checkpoint', () => {
  it('is a signed note of origin, size, root and time', () => {
    expect(NOTE.split('\n').slice(0, 5)).toEqual([
      ORIGIN,
      '12345',
      ROOT.toString('base64'),
      `time ${AT}`,
      '',
    ]);
    expect(NOTE).toMatch(new RegExp(`\n\n\u2014 ${ORIGIN} [A-Za-z0-9+/=]+\n$`));
  });

  it('comes back from its note', () => {
    expect(verifyCheckpoint(NOTE, VKEY)).toEqual({ origin: ORIGIN, size: 12345, root: ROOT, at: AT });
  });

  it('of another log is read, too', () => {
    expect(parseCheckpoint(C2SP)).toMatchObject({
      origin: 'example.com/behind-the-sofa',
      size: 20852163,
      at: null,
    });
  });

  it('passes over signatures of others', () => {
    const witnessed = `${NOTE}\u2014 witness.example ${Buffer.alloc(80, 1).toString('base64')}\n`;
    expect(verifyCheckpoint(witnessed, VKEY).size).toBe(12345);
  });

  const other = generateKeyPairSync('ed25519').privateKey;
  const state = { size: 12345, root: ROOT, at: AT };
  it.each([
    ['another size', NOTE.replace('12345', '12346'), 'checkpoint-forged'],
    [
      'another root',
      NOTE.replace(ROOT.toString('base64'), EMPTY_ROOT.toString('base64')),
      'checkpoint-forged',
    ],
    ['another time', NOTE.replace('10:00', '11:00'), 'checkpoint-forged'],
    ['a further line', NOTE.replace('\n\n', '\nx\n\n'), 'checkpoint-forged'],
    ['another key', signCheckpoint(ORIGIN, other, state), 'checkpoint-unsigned'],
    ['another log', signCheckpoint(auditOrigin('other'), privateKey, state), 'checkpoint-foreign'],
    ['the document of C2SP', C2SP, 'checkpoint-foreign'],
    ['half a file', NOTE.slice(0, 60), 'checkpoint-malformed'],
    ['no last newline', NOTE.slice(0, -1), 'checkpoint-malformed'],
    ['Windows line ends', NOTE.replaceAll('\n', '\r\n'), 'checkpoint-malformed'],
    ['a size with a zero in front', NOTE.replace('12345', '012345'), 'checkpoint-malformed'],
    ['a size that is too large', NOTE.replace('12345', '9007199254740993'), 'checkpoint-malformed'],
    ['a short root', NOTE.replace(ROOT.toString('base64'), 'AAAA'), 'checkpoint-malformed'],
    ['an empty file', '', 'checkpoint-malformed'],
  ])('is refused with %s', (_, note, code) => {
    expect(() => verifyCheckpoint(note, VKEY)).toThrow(failsWith(code));
  });
});

describe('verifier key', () => {
  it('reads the key of the Go checksum database', () => {
    const vkey = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8';
    const { name, id, key } = parseVkey(vkey);
    expect([name, id.toString('hex')]).toEqual(['sum.golang.org', '033de0ae']);
    expect(formatVkey(name, key)).toBe(vkey);
  });

  it.each([
    ['another name', VKEY.replace('audit', 'other')],
    ['another key id', VKEY.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
    ['another type', `${ORIGIN}+00000000+${Buffer.alloc(33, 2).toString('base64')}`],
    ['nothing', ''],
  ])('is refused with %s', (_, vkey) => {
    expect(() => parseVkey(vkey)).toThrow(failsWith('vkey-malformed'));
  });
});
