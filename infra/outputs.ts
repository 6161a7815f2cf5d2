import * as pulumi from '@pulumi/pulumi';
import type { Dns } from './components/dns.ts';
import type { Host } from './components/host.ts';
import type { Store } from './components/backup-store.ts';
import type { Config } from './config.ts';
import { credentialsFile } from './lib/destinations.ts';
import { domainOf } from './lib/names.ts';
import { monthlyCost } from './lib/prices.ts';

const credentials = (stores: Store[], use: 'host' | 'prune'): pulumi.Output<string[]> =>
  pulumi.secret(
    pulumi.all(
      stores.map((store) =>
        pulumi.all([store[use].id, store[use].secret]).apply(([id, secret]) => credentialsFile(id, secret)),
      ),
    ),
  );

/** The contract with scripts and workflows: names and meanings stand in docs/infra.md, and a test compares both. */
export function outputs(config: Config, host: Host, dns: Dns, stores: Store[]): Record<string, unknown> {
  const domain = domainOf(config.name, config.zone);
  const hostKey = config.hostKey?.split(' ').slice(0, 2).join(' ');
  return {
    environment: config.environment,
    domain,
    url: `https://${domain}`,
    healthUrl: `https://${domain}/api/health`,
    address: host.address,
    sharesHost: config.host === 'production',
    sshUsers: config.operators.map((operator) => operator.name),
    knownHosts: hostKey === undefined ? '' : host.address.apply((ip) => `${domain},${ip} ${hostKey}`),
    dnsRecords: dns.records,
    backupDestinations: stores.map((store) => store.url).join(' '),
    backupCredentials: credentials(stores, 'host'),
    pruneCredentials: credentials(stores, 'prune'),
    notImmutable: stores.filter((store) => !store.hostCannotDelete).map((store) => store.url),
    monthlyCost: monthlyCost(config),
  };
}
