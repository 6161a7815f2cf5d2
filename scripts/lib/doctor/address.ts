import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { serviceAt } from '../neighbour.ts';
import { addressText, localAddress } from '../settings.ts';
import type { Address } from '../settings.ts';
import { fail, ok } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'address';

/** Whether the service can listen where it is told to, or does so already. */
export async function addressCheck(config: Pick<Config, 'listen' | 'databaseUrl'>): Promise<Check> {
  const { listen } = config;
  const address = localAddress(config);
  if (address === null) return ok(NAME, 'FACTORY_PORT is 0: any free port is taken.');
  const where = addressText(address);
  if ('socket' in listen) {
    return existsSync(listen.socket) ? whoAnswers(address, config) : ok(NAME, `${where} is free.`);
  }
  const code = await listenError(listen.host, listen.port);
  if (code === null) return ok(NAME, `${where} is free.`);
  if (code === 'EADDRINUSE') return whoAnswers(address, config);
  return fail(NAME, `Nothing can listen on ${where} (${code}).`, 'Correct FACTORY_HOST and FACTORY_PORT.');
}

function listenError(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

async function whoAnswers(address: Address, config: Pick<Config, 'databaseUrl'>): Promise<Check> {
  const where = addressText(address);
  const hint = 'Stop that process, or choose another place: FACTORY_PORT or FACTORY_SOCKET.';
  try {
    const service = await serviceAt(address, config);
    if (service) {
      const { status, startedAt, isOurs } = service;
      if (isOurs === false)
        return fail(
          NAME,
          `Another installation of Build Factory runs at ${where}, since ${startedAt}.`,
          hint,
        );
      return ok(NAME, `The service runs at ${where} since ${startedAt}; its health is ${status}.`);
    }
  } catch (error) {
    // A socket file that nobody answers on is left over, and the start replaces it.
    const left = 'socket' in address && error instanceof FactoryError && error.code === 'unreachable';
    if (left) return ok(NAME, `${where} is left over from a stopped process; the start replaces it.`);
    if (!(error instanceof FactoryError)) throw error;
  }
  return fail(NAME, `Another process uses ${where}.`, hint);
}
