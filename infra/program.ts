import { Project } from '@pulumi/digitalocean/project.js';
import { backupStores } from './components/backup-store.ts';
import { dns } from './components/dns.ts';
import { host, sharedHost } from './components/host.ts';
import type { Config } from './config.ts';
import { installGuards } from './guards.ts';
import { prefix } from './lib/names.ts';
import { outputs } from './outputs.ts';

/** Everything of one stack, guarded. Answers its outputs. */
export function program(config: Config): Record<string, unknown> {
  installGuards(config);
  const machine = config.host === 'own' ? host(config) : sharedHost();
  const names = dns(config, machine.address);
  const stores = backupStores(config);
  const { environment } = config;
  new Project('project', {
    name: prefix(environment),
    purpose: 'Build Factory',
    environment: environment === 'production' ? 'Production' : 'Staging',
    resources: [...machine.urns, ...names.urns, ...stores.flatMap((store) => store.urns)],
  });
  return outputs(config, machine, names, stores);
}
