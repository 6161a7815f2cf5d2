#!/usr/bin/env node
/**
 * Verifies a signed certificate of an erasure, or the signed record of a retention run. One file, no dependencies, Node 20
 * or later: take it to another machine together with the certificate and the public key.
 *
 * A certificate is a JSON document. Signed (Ed25519) is `<format>\n<name of the key>\n<canonical JSON (RFC 8785) of all
 * but "signature">`. Its proof says that the entry which records it is in the audit log (RFC 6962, SHA-256), whose
 * checkpoint is a C2SP tlog-checkpoint signed with the same key, a C2SP signed-note vkey.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const USAGE = `Usage: node verify-certificate.mjs CERTIFICATE.json --key VKEY-or-file [--json]

  CERTIFICATE   the certificate, or the answer of the API that holds it as "certificate" or "record"
  --key         the public key of the installation's audit log: its text, or the file audit-log.vkey
  --json        one JSON document on stdout: {ok, id, status, subject, unreadableFrom, problems}

Exit: 0 it is what this installation signed, and its entry is in the log; 1 it is not; 2 the command cannot be carried out.
`;

/** Format -> the action of the audit entry that records it. */
const FORMATS = {
  'build-factory/erasure-certificate/1': ({ status }) =>
    status === 'done' ? 'governance.erasure-done' : 'governance.erasure-held',
  'build-factory/retention-run/1': () => 'governance.retention-applied',
};

class UsageError extends Error {}

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** `{name, id, key}` of a vkey `<name>+<id>+<base64 of 0x01 and the Ed25519 key>`. */
function parseVkey(text) {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  const typed = Buffer.from(match?.[3] ?? '', 'base64');
  if (!match || typed.length !== 33 || typed[0] !== 1)
    throw new UsageError('--key is not a verifier key (vkey).');
  const id = sha256(`${match[1]}\n`, typed).subarray(0, 4);
  if (id.toString('hex') !== match[2]) throw new UsageError('--key has a key id that is not its own.');
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: typed.subarray(1).toString('base64url') };
  return { name: match[1], id, key: createPublicKey({ key: jwk, format: 'jwk' }) };
}

/** RFC 8785 for what `JSON.parse` gives. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(',')}}`;
}

function isSigned(certificate, vkey) {
  const { signature, ...unsigned } = certificate;
  const text = `${certificate.format}\n${vkey.name}\n${canonical(unsigned)}`;
  return verify(null, Buffer.from(text), vkey.key, Buffer.from(String(signature), 'base64'));
}

/** What is wrong with the checkpoint's signature, size or root; null: nothing. */
function checkpointProblem({ checkpoint, size, root }, vkey) {
  const note = String(checkpoint);
  const split = note.lastIndexOf('\n\n');
  const text = note.slice(0, split + 1);
  const [origin, signedSize, signedRoot] = text.split('\n');
  if (split < 0 || origin !== vkey.name) return 'Its checkpoint is not one of the log of this key.';
  if (signedSize !== String(size) || signedRoot !== root)
    return 'Its checkpoint is of another size or root than its proof.';
  const ours = note
    .slice(split + 2, -1)
    .split('\n')
    .map((line) => /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line))
    .filter((line) => line !== null && line[1] === vkey.name)
    .map(([, , value]) => Buffer.from(value, 'base64'))
    .filter((bytes) => bytes.subarray(0, 4).equals(vkey.id));
  const holds =
    ours.length > 0 && ours.every((bytes) => verify(null, Buffer.from(text), vkey.key, bytes.subarray(4)));
  return holds ? null : 'The signature of its checkpoint does not hold.';
}

/** RFC 9162, 2.1.3.2. */
function isIncluded({ index, size, leaf, hashes, root }) {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let [fn, sn] = [BigInt(index), BigInt(size) - 1n];
  let hash = sha256(Buffer.of(0), leaf);
  for (const text of hashes) {
    if (sn === 0n) return false;
    const sibling = Buffer.from(text, 'base64');
    if ((fn & 1n) === 1n || fn === sn) {
      hash = sha256(Buffer.of(1), sibling, hash);
      while (fn !== 0n && (fn & 1n) === 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else hash = sha256(Buffer.of(1), hash, sibling);
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  return sn === 0n && hash.equals(Buffer.from(root, 'base64'));
}

/** What keeps the entry from being the one that records this certificate; null: nothing. */
function leafProblem(certificate) {
  const leaf = JSON.parse(certificate.proof.leaf);
  const action = FORMATS[certificate.format](certificate);
  if (leaf.action === action && leaf.object?.id === certificate.id) return null;
  return `The entry of the log records ${leaf.action} of ${leaf.object?.id}, not ${action} of ${certificate.id}.`;
}

function problemsOf(certificate, vkey) {
  if (typeof certificate !== 'object' || certificate === null || !Object.hasOwn(FORMATS, certificate.format))
    return ['It is no certificate of a kind that this script knows.'];
  if (!isSigned(certificate, vkey))
    return ['Its signature does not hold: it was changed, or signed by another key.'];
  const { proof } = certificate;
  const problems = [checkpointProblem(proof, vkey), leafProblem(certificate)];
  if (!isIncluded(proof)) problems.push('Its entry is not in the tree that its checkpoint covers.');
  return problems.filter((problem) => problem !== null);
}

function readText(path, what) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${what} cannot be read: ${error.message}.`);
  }
}

/** The certificate itself, or the one in an answer of the API. */
function readCertificate(path) {
  try {
    const value = JSON.parse(readText(path, 'The certificate'));
    return value?.format === undefined ? (value?.certificate ?? value?.record ?? value) : value;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`The certificate is no JSON: ${error.message}.`);
  }
}

function parseCommand(args) {
  const options = {
    key: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  };
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
  const { values, positionals } = parsed;
  if (!values.help && positionals.length !== 1) throw new UsageError('A certificate is needed.');
  if (!values.help && values.key === undefined)
    throw new UsageError('--key is needed: without it nothing is proven.');
  return { ...values, certificate: positionals[0] };
}

function main(args) {
  const command = parseCommand(args);
  if (command.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const vkey = parseVkey(existsSync(command.key) ? readText(command.key, 'The key') : command.key);
  const certificate = readCertificate(command.certificate);
  const problems = problemsOf(certificate, vkey);
  const { id = null, status = null, subject = null, backups = null } = certificate ?? {};
  const unreadableFrom = backups?.unreadableFrom ?? null;
  const result = { ok: problems.length === 0, id, status, subject, unreadableFrom, problems };
  process.stdout.write(command.json ? `${JSON.stringify(result)}\n` : describe(result));
  return result.ok ? 0 : 1;
}

function describe({ ok, id, status, subject, unreadableFrom, problems }) {
  const lines = [
    ...problems,
    ok
      ? `Signed by this key, and in its log: ${id}, ${status ?? 'applied'}.`
      : 'The certificate is NOT to be believed.',
    ...(ok && subject ? [`Subject ${subject}.`] : []),
    ...(ok && unreadableFrom ? [`Content in older backups cannot be read from ${unreadableFrom} on.`] : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function reportUsage({ message }, json) {
  const error = {
    ...{ code: 'usage', op: 'verify certificate', target: null },
    ...{ message, hint: 'See --help.', retryable: false },
  };
  if (json) process.stdout.write(`${JSON.stringify({ error })}\n`);
  process.stderr.write(`${message}\nTry: node verify-certificate.mjs --help\n`);
}

const args = process.argv.slice(2);
try {
  process.exitCode = main(args);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  reportUsage(error, args.includes('--json'));
  process.exitCode = 2;
}
