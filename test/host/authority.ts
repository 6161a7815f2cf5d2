import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { vi } from 'vitest';
import type { Image } from './image.ts';

/** pebble: an authority that gives certificates by ACME, after it asked the host itself; and the names it asks for. */
export interface Authority {
  /** What `acme_ca` of Caddy is set to. */
  directory: string;
  /** The certificate that its own server shows, PEM: the host has to have it before it boots. */
  root: string;
  /** What its certificates go back to, PEM. */
  issuer(): Promise<string>;
  stop(): void;
}

const PORTS = { acme: 14_000, management: 15_000, names: 8_053, namesManagement: 8_055 };

/** The certificate is made first, because the host that trusts it also says where the authority listens. */
export function authorityCertificate(addresses: string): { folder: string; root: string } {
  const folder = mkdtempSync(join(tmpdir(), 'factory-acme-'));
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  const curve = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-x509',
    '-days',
    '2',
  ];
  const names = ['-subj', '/CN=pebble', '-addext', `subjectAltName=${addresses}`];
  execFileSync('openssl', ['req', ...curve, ...files, ...names], { stdio: 'ignore' });
  return { folder, root: readFileSync(join(folder, 'cert.pem'), 'utf8') };
}

/** `from`: this end of the host's cable; `host`: where every name leads. */
export async function startAuthority(
  image: Image,
  { folder, root }: { folder: string; root: string },
  { from, host }: { from: string; host: string },
): Promise<Authority> {
  const config = join(folder, 'config.json');
  const pebble = {
    listenAddress: `${from}:${PORTS.acme}`,
    managementListenAddress: `${from}:${PORTS.management}`,
    ...{ certificate: join(folder, 'cert.pem'), privateKey: join(folder, 'key.pem') },
    ...{ httpPort: 80, tlsPort: 443, ocspResponderURL: '', externalAccountBindingRequired: false },
  };
  writeFileSync(config, JSON.stringify({ pebble }));
  const names = `${from}:${PORTS.names}`;
  const env = { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' };
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', ''];
  const started: ChildProcess[] = [
    spawn(
      join(image.beside, 'usr/bin/pebble-challtestsrv'),
      [
        ...off,
        '-dns01',
        names,
        '-management',
        `${from}:${PORTS.namesManagement}`,
        '-defaultIPv4',
        host,
        '-defaultIPv6',
        '',
      ],
      { stdio: 'ignore' },
    ),
    spawn(join(image.beside, 'usr/bin/pebble'), ['-config', config, '-dnsserver', names], {
      env,
      stdio: 'ignore',
    }),
  ];
  const ask = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      get(`https://${from}:${PORTS.management}${path}`, { ca: root }, (answer) => resolve(text(answer))).on(
        'error',
        reject,
      );
    });
  await vi.waitFor(() => ask('/roots/0'), { timeout: 20_000, interval: 200 });
  return {
    directory: directoryOf(from),
    root,
    issuer: () => ask('/roots/0'),
    stop: () => started.forEach((one) => one.kill()),
  };
}

export const directoryOf = (from: string): string => `https://${from}:${PORTS.acme}/dir`;
