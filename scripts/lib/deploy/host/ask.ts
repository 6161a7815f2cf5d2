import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Reply } from '../types.ts';

/** One question over a unix socket, on a connection of its own, as the proxy asks. Never throws. */
export function askSocket(
  socketPath: string,
  { path, host, timeoutMs }: { path: string; host: string; timeoutMs: number },
): Promise<Reply> {
  const began = performance.now();
  const since = (): number => performance.now() - began;
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: NodeJS.ErrnoException): void =>
      resolve({
        ...{ status: 0, body: '', ms: since() },
        error: signal.aborted ? `no answer within ${timeoutMs} ms` : (error.code ?? error.message),
      });
    const asking = request({ socketPath, path, agent: false, headers: { host }, signal }, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body, ms: since() }), fail);
    });
    asking.on('error', fail);
    asking.end();
  });
}
