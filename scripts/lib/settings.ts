import { loadConfig, problemLines } from '../../service/config-load.ts';
import type { Config } from '../../service/config.ts';
import { FactoryError } from '../../service/errors.ts';
import type { Surroundings } from './verb.ts';

/** The configuration of this folder and environment. Errors: `config-invalid`, with every problem at once. */
export function readConfig({ cwd, env }: Pick<Surroundings, 'cwd' | 'env'>): Config {
  const loaded = loadConfig(cwd, env);
  if ('config' in loaded) return loaded.config;
  const { problems } = loaded;
  const lines = problemLines(problems).trimEnd().replace(/^/gm, '  ');
  throw new FactoryError({
    code: 'config-invalid',
    op: 'read configuration',
    target: problems[0]?.name,
    message: `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines}`,
    hint: 'Variables come from the environment and from .env; .env.example explains each.',
    details: { problems },
  });
}

/** How people read which build runs: outside a release it has no name of its own. */
export function releaseName(release: string | null): string {
  return release ?? 'development';
}

/** Where a service is called: an origin, or a unix socket. */
export type Address = { origin: string } | { socket: string };

/** Where the configured service listens for calls from this machine; null: at a port that only it knows. */
export function localAddress({ listen }: Pick<Config, 'listen'>): Address | null {
  if ('socket' in listen) return listen;
  if (listen.port === 0) return null;
  const host = listen.host === '0.0.0.0' ? '127.0.0.1' : listen.host === '::' ? '::1' : listen.host;
  return { origin: `http://${host.includes(':') ? `[${host}]` : host}:${listen.port}` };
}

/** `FACTORY_URL`, else where the configured service listens. Errors: `address-unknown`. */
export function serviceAddress(config: Pick<Config, 'client' | 'listen'>): Address {
  const address = config.client.url === null ? localAddress(config) : { origin: config.client.url };
  if (address !== null) return address;
  throw new FactoryError({
    code: 'address-unknown',
    op: 'find service',
    target: 'FACTORY_PORT',
    message: 'FACTORY_PORT is 0: only the running service knows its address.',
    hint: 'Set FACTORY_URL to the address that `serve` printed.',
  });
}

export function addressText(address: Address): string {
  return 'socket' in address ? `unix:${address.socket}` : address.origin;
}
