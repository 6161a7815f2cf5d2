import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** HTTP load from wrk, which takes the least processor time of what Debian has, on one thread. */

export interface Request {
  path: string;
  body: string;
}

export interface Load {
  url: string;
  /** Sent in turn, over and over. `{n}` in a path or body is the number of the request. */
  requests: readonly Request[];
  headers?: Record<string, string>;
  /** Adds a new Idempotency-Key to each request. */
  keys?: boolean;
  clients: number;
  seconds: number;
  /** Whose processor time is told. */
  pid: number;
}

export interface Measured {
  perSecond: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  requests: number;
  /** Answers of 400 and above, and connections that broke. */
  errors: number;
  /** Processor time of the server for each request, in µs; and of the thread that answers. */
  cpuMicros: number;
  threadMicros: number;
}

const SCRIPT = String.raw`
local n = 0
local requests, headers, keys = {}, {}, false
function init(args)
  for line in io.lines(args[1]) do
    local kind, a, b = line:match("^(%S+)\t([^\t]*)\t?(.*)$")
    if kind == "request" then requests[#requests + 1] = { a, b }
    elseif kind == "header" then headers[a] = b
    elseif kind == "keys" then keys = a end
  end
end
function request()
  n = n + 1
  local one = requests[(n - 1) % #requests + 1]
  if keys then headers["Idempotency-Key"] = keys .. n end
  return wrk.format("POST", one[1], headers, one[2])
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\n{"requests":%d,"micros":%d,"errors":%d,"p50":%d,"p95":%d,"p99":%d}\n', summary.requests,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
`;

export function assertWrk(): void {
  if (spawnSync('wrk', ['-v']).error)
    throw new Error('wrk is not on this machine. Install it: apt-get install wrk');
}

/** Errors: what wrk itself said. */
export async function measure(load: Load): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'factory-bench-'));
  try {
    const script = join(folder, 'load.lua');
    const input = join(folder, 'requests.tsv');
    writeFileSync(script, SCRIPT);
    writeFileSync(input, inputOf(load));
    const args = [
      '-t1',
      `-c${load.clients}`,
      `-d${load.seconds}s`,
      '--latency',
      '-s',
      script,
      load.url,
      '--',
      input,
    ];
    const before = cpuMicrosOf(load.pid);
    const threadBefore = threadMicrosOf(load.pid);
    const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const cpu = cpuMicrosOf(load.pid) - before;
    const thread = threadMicrosOf(load.pid) - threadBefore;
    const line = /^\{.*\}$/m.exec(out)?.[0];
    if (line === undefined) throw new Error(`wrk gave no result:\n${out}\n${err}`);
    return measuredOf(JSON.parse(line) as Record<string, number>, cpu, thread);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inputOf({ requests, headers = {}, keys }: Load): string {
  const all = { 'Content-Type': 'application/json', ...headers };
  return [
    ...Object.entries(all).map(([name, value]) => `header\t${name}\t${value}`),
    ...requests.map(({ path, body }) => `request\t${path}\t${body}`),
    ...(keys ? [`keys\tbench-${process.pid}-${performance.now()}-`] : []),
    '',
  ].join('\n');
}

function measuredOf(raw: Record<string, number>, cpu: number, thread: number): Measured {
  const { requests = 0, micros = 1, errors = 0, p50 = NaN, p95 = NaN, p99 = NaN } = raw;
  return {
    perSecond: requests / (micros / 1e6),
    p50Ms: p50 / 1000,
    p95Ms: p95 / 1000,
    p99Ms: p99 / 1000,
    requests,
    errors,
    cpuMicros: cpu / Math.max(requests, 1),
    threadMicros: thread / Math.max(requests, 1),
  };
}

/** User and system time of a process so far. Linux counts it in ticks of 10 ms. */
export const cpuMicrosOf = (pid: number): number => microsIn(`/proc/${pid}/stat`);

/** The same of its first thread. */
const threadMicrosOf = (pid: number): number => microsIn(`/proc/${pid}/task/${pid}/stat`);

function microsIn(path: string): number {
  const stat = readFileSync(path, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Resident memory of a process, in MiB. */
export function rssMiBOf(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}
