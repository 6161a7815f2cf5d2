import type { AddressInfo } from 'node:net';
import { chmodSync, existsSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { RequestListener } from 'node:http';
import type { Config } from './config.ts';
import { FactoryError } from './errors.ts';

// Imported by name, all of its exports would be looked at, and one of them loads a whole HTTP client: 40 ms of a start.
const { createServer } = process.getBuiltinModule('node:http');

/** Requests under way get this long to end when the service stops. */
const DRAIN_MS = 3000;

/** Idle connections stay open this long. */
const KEEP_ALIVE_MS = 75_000;

export interface Listening {
  /** `http://127.0.0.1:8700`; on a socket `http://localhost`. */
  url: string;
  /** Takes no new requests and waits for those under way, within a limit. */
  drain(): Promise<void>;
}

/** Listens on a port or a unix socket. Errors: `port-in-use`, `address-unavailable`, `socket-in-use`. */
export async function listen(app: RequestListener, where: Config['listen']): Promise<Listening> {
  // Bodies have limits of their own, see `http/body-stream.ts`.
  const limits = { maxHeaderSize: 32 * 1024, headersTimeout: 60_000, requestTimeout: 0 };
  const server = createServer(limits, app);
  // Longer than a proxy keeps its connections: one that we close first costs it a request.
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  if ('socket' in where) await freeSocket(where.socket);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, where)));
    if ('socket' in where) server.listen(where.socket, resolve);
    else server.listen(where.port, where.host, resolve);
  });
  if ('socket' in where) chmodSync(where.socket, 0o660);
  return {
    url: 'socket' in where ? 'http://localhost' : urlOf(server.address() as AddressInfo),
    async drain() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

function urlOf({ address, port, family }: AddressInfo): string {
  const host = family === 'IPv6' ? `[${address}]` : address;
  return `http://${host === '0.0.0.0' || host === '[::]' ? '127.0.0.1' : host}:${port}`;
}

/** A socket file that nobody answers on is left over from a process that was killed. */
async function freeSocket(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(true)).on('error', () => resolve(false));
    probe.once('close', () => undefined);
    probe.unref();
  });
  if (answered || !statSync(path).isSocket()) {
    throw new FactoryError({
      code: 'socket-in-use',
      op: 'listen',
      target: path,
      message: answered ? `Another process answers on ${path}.` : `${path} exists and is no socket.`,
      hint: 'Stop that process, or set FACTORY_SOCKET to another path.',
    });
  }
  rmSync(path);
}

function listenError(error: NodeJS.ErrnoException, where: Config['listen']): FactoryError {
  const target = 'socket' in where ? where.socket : `${where.host}:${where.port}`;
  if (error.code === 'EADDRINUSE') {
    return new FactoryError({
      code: 'port-in-use',
      op: 'listen',
      target,
      message: `${target} is in use by another process.`,
      hint: 'Stop that process, or choose another port: FACTORY_PORT=8701 npm start (0: any free one).',
      cause: error,
    });
  }
  return new FactoryError({
    code: 'address-unavailable',
    op: 'listen',
    target,
    message: `The service cannot listen on ${target}: ${error.message}.`,
    hint: 'Check FACTORY_HOST and FACTORY_PORT (ports below 1024 need rights), or FACTORY_SOCKET.',
    cause: error,
  });
}
