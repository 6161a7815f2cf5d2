#!/usr/bin/env node
/**
 * Verifies an exported audit log against a signed checkpoint. One file, no dependencies, Node 20 or later: take it to
 * another machine together with the log, the checkpoint and the public key.
 *
 * The log is one leaf (canonical JSON, RFC 8785) a line, in the order of `seq`, which is the line's number. The tree
 * is that of RFC 6962 with SHA-256, the checkpoint a C2SP tlog-checkpoint, the key a C2SP signed-note vkey.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const USAGE = `Usage: node verify-log.mjs LOG.jsonl CHECKPOINT [--key VKEY-or-file] [--json]

  LOG.jsonl     one leaf a line, as exported, from entry 1 on
  CHECKPOINT    a *.checkpoint file, best one that was kept elsewhere
  --key         the log's public key: its text, or the file audit-log.vkey; without it no signature is checked
  --json        one JSON document on stdout: {ok, size, signedSize, root, problems, notChecked}

Exit: 0 the log is the one that was signed, 1 it is not, 2 the command cannot be carried out.
`;

const LEAF_TYPE = 'build-factory/audit-leaf';
const LEAF_KEYS = [
  'action',
  'actor',
  'at',
  'code',
  'decision',
  'event',
  'message',
  'object',
  'outcome',
  'project',
  'restored',
  'type',
  'v',
];
const NAMED_LINES = 20;

class UsageError extends Error {}

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** Root of a growing tree; `subtrees` holds the roots of its perfect subtrees, largest first. */
class Tree {
  size = 0;
  subtrees = [];

  append(leaf) {
    let hash = sha256(Buffer.of(0), leaf);
    for (let rest = this.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      hash = sha256(Buffer.of(1), this.subtrees.pop(), hash);
    }
    this.subtrees.push(hash);
    this.size += 1;
  }

  root() {
    if (this.size === 0) return sha256();
    return this.subtrees.reduceRight((right, left) => sha256(Buffer.of(1), left, right));
  }
}

/** `{text, origin, size, root, signatures: [{name, bytes}]}`; throws what is wrong with it. */
function parseCheckpoint(note) {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) throw new Error('it is not a signed note');
  const text = note.slice(0, split + 1);
  const [origin, size, root] = text.split('\n');
  if (!/^(0|[1-9]\d{0,15})$/.test(size ?? '')) throw new Error('its second line is not a size');
  const rootBytes = Buffer.from(root ?? '', 'base64');
  if (rootBytes.length !== 32 || rootBytes.toString('base64') !== root)
    throw new Error('its third line is not a root');
  const signatures = note
    .slice(split + 2, -1)
    .split('\n')
    .map((line) => /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line));
  if (signatures.includes(null)) throw new Error('a signature line is not one');
  return {
    text,
    origin,
    size: Number(size),
    root: rootBytes,
    signatures: signatures.map(([, name, value]) => ({ name, bytes: Buffer.from(value, 'base64') })),
  };
}

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

/** What is wrong with the signature, or null. */
function signatureProblem(checkpoint, vkey) {
  if (checkpoint.origin !== vkey.name) {
    return [
      'checkpoint-foreign',
      `The checkpoint is of the log ${checkpoint.origin}, the key of ${vkey.name}.`,
    ];
  }
  const ours = checkpoint.signatures.filter(
    ({ name, bytes }) => name === vkey.name && bytes.subarray(0, 4).equals(vkey.id),
  );
  if (ours.length === 0) return ['checkpoint-unsigned', 'The checkpoint is not signed with this key.'];
  const holds = ours.every(({ bytes }) =>
    verify(null, Buffer.from(checkpoint.text), vkey.key, bytes.subarray(4)),
  );
  return holds ? null : ['checkpoint-forged', 'The signature of the checkpoint does not belong to its text.'];
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

/** What keeps a line from being a leaf, or null. */
function leafProblem(line) {
  const text = line.toString('utf8');
  let leaf;
  try {
    leaf = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  if (leaf?.type !== LEAF_TYPE || leaf.v !== 1) return 'is not an audit leaf of version 1';
  if (canonical(leaf) !== text) return 'is not in canonical form (RFC 8785)';
  const foreign = Object.keys(leaf).find((key) => !LEAF_KEYS.includes(key));
  return foreign === undefined ? null : `has "${foreign}", which does not belong in a leaf`;
}

/**
 * Lines as bytes, without their ends. Split at 0x0A alone: readline would also split at U+2028, which canonical JSON
 * may hold.
 */
async function* linesOf(path) {
  let rest = [];
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield rest.length === 0
        ? chunk.subarray(from, end)
        : Buffer.concat([...rest, chunk.subarray(from, end)]);
      rest = [];
      from = end + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest);
}

/** Whether the entry is one of a restore that gives this checkpoint up, signed with the key of the log. */
function givesUp(line, seq, checkpoint, vkey) {
  const { restored, at } = JSON.parse(line.toString('utf8'));
  if (!vkey || restored?.entry !== seq || !Array.isArray(restored.givenUp)) return false;
  const root = checkpoint.root.toString('base64');
  if (!restored.givenUp.some((state) => state.size === checkpoint.size && state.root === root)) return false;
  const { signature, ...unsigned } = restored;
  const text = `build-factory/restored/1\n${vkey.name}\n${canonical({ ...unsigned, at })}`;
  return verify(null, Buffer.from(text), vkey.key, Buffer.from(String(signature), 'base64'));
}

/** Reads the whole log: the tree, its root at `signedSize` (null if it is shorter), and the lines that are no leaves. */
async function readLog(logPath, checkpoint, vkey, problems) {
  const tree = new Tree();
  const signedSize = checkpoint?.size ?? 0;
  let givenUpBy = null;
  let signedRoot = signedSize === 0 ? tree.root() : null;
  let malformed = 0;
  for await (const line of linesOf(logPath)) {
    tree.append(line);
    const problem = leafProblem(line);
    if (problem !== null) {
      if (++malformed <= NAMED_LINES)
        problems.push({ code: 'leaf-malformed', message: `Line ${tree.size} ${problem}.`, seq: tree.size });
    } else if (checkpoint && line.includes('"restored":') && givesUp(line, tree.size, checkpoint, vkey))
      givenUpBy = tree.size;
    if (tree.size === signedSize) signedRoot = tree.root();
  }
  if (malformed > NAMED_LINES) {
    problems.push({
      code: 'leaf-malformed',
      message: `${malformed - NAMED_LINES} more lines are no leaves.`,
    });
  }
  return { tree, signedRoot, givenUpBy };
}

function rootProblem(checkpoint, tree, signedRoot) {
  if (signedRoot === null) {
    const message = `The log has ${tree.size} entries; the checkpoint covers ${checkpoint.size}.`;
    return { code: 'log-shorter-than-checkpoint', message, seq: tree.size + 1 };
  }
  if (signedRoot.equals(checkpoint.root)) return null;
  const message =
    `The first ${checkpoint.size} entries have the root ${signedRoot.toString('hex')}; ` +
    `the checkpoint was signed for ${checkpoint.root.toString('hex')}.`;
  return { code: 'root-mismatch', message };
}

/** `{ok, size, signedSize, root, problems: [{code, message, seq?}], notChecked}`; root is hex. */
async function verifyLog(logPath, note, vkey) {
  const problems = [];
  const checkpoint = readCheckpoint(note, problems);
  const wrong = checkpoint && vkey && signatureProblem(checkpoint, vkey);
  if (wrong) problems.push({ code: wrong[0], message: wrong[1] });
  const { tree, signedRoot, givenUpBy } = await readLog(logPath, checkpoint, vkey, problems);
  const mismatch = checkpoint && rootProblem(checkpoint, tree, signedRoot);
  if (mismatch && givenUpBy === null) problems.push(mismatch);
  const notChecked = vkey ? [] : ['The signature: no --key was given.'];
  if (mismatch && givenUpBy !== null) {
    notChecked.push(
      `What the checkpoint covers: the restore of entry ${givenUpBy} gave it up. Take a newer checkpoint.`,
    );
  }
  const signedSize = givenUpBy !== null && mismatch ? 0 : (checkpoint?.size ?? 0);
  if (tree.size > signedSize) {
    notChecked.push(`Entries ${signedSize + 1} to ${tree.size}: no valid checkpoint covers them.`);
  }
  const root = tree.root().toString('hex');
  return { ok: problems.length === 0, size: tree.size, signedSize, root, problems, notChecked };
}

function readCheckpoint(note, problems) {
  try {
    return parseCheckpoint(note);
  } catch (error) {
    problems.push({ code: 'checkpoint-malformed', message: `The checkpoint is none: ${error.message}.` });
    return null;
  }
}

function readText(path, what) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${what} cannot be read: ${error.message}.`);
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
  if (!values.help && positionals.length !== 2) throw new UsageError('A log and a checkpoint are needed.');
  return { ...values, log: positionals[0], checkpoint: positionals[1] };
}

async function main(args) {
  const command = parseCommand(args);
  if (command.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const key = command.key && (existsSync(command.key) ? readText(command.key, 'The key') : command.key);
  const vkey = key === undefined ? null : parseVkey(key);
  const note = readText(command.checkpoint, 'The checkpoint');
  const result = await verifyLog(command.log, note, vkey).catch((error) => {
    throw error.syscall ? new UsageError(`The log cannot be read: ${error.message}.`) : error;
  });
  process.stdout.write(command.json ? `${JSON.stringify(result)}\n` : describe(result));
  return result.ok ? 0 : 1;
}

function describe({ ok, signedSize, root, size, problems, notChecked }) {
  const lines = [
    ...problems.map(({ code, message }) => `${code}: ${message}`),
    ...notChecked.map((what) => `not checked: ${what}`),
    ok && signedSize === 0 && size > 0
      ? 'The entries fit together; this checkpoint does not cover them.'
      : ok
        ? `The first ${signedSize} entries are the ones that the checkpoint covers.`
        : 'The log is NOT the one that was signed.',
    `${size} entries, root ${root}`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function reportUsage({ message }, json) {
  const error = {
    code: 'usage',
    op: 'verify log',
    target: null,
    message,
    hint: 'See --help.',
    retryable: false,
  };
  if (json) process.stdout.write(`${JSON.stringify({ error })}\n`);
  process.stderr.write(`${message}\nTry: node verify-log.mjs --help\n`);
}

const args = process.argv.slice(2);
try {
  process.exitCode = await main(args);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  reportUsage(error, args.includes('--json'));
  process.exitCode = 2;
}
