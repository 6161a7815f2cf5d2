import type { Item, Layer } from './items.ts';
import { caddyLayer } from './layers/caddy.ts';
import { environmentLayer } from './layers/environment.ts';
import { bansLayer, firewallLayer } from './layers/firewall.ts';
import { sshLayer } from './layers/ssh.ts';
import {
  accountingLayer,
  accountsLayer,
  journalLayer,
  kernelLayer,
  packageLayer,
  updatesLayer,
} from './layers/system.ts';
import type { HostSettings } from './settings.ts';

/** A hardened Debian 12 host, from the bottom up. Pure: the same settings, the same layers. */
export function hostLayers(settings: HostSettings): Layer[] {
  return [
    packageLayer(),
    accountsLayer(),
    accountingLayer(),
    kernelLayer(),
    journalLayer(),
    sshLayer(settings),
    firewallLayer(settings),
    bansLayer(),
    updatesLayer(settings),
    ...settings.environments.map(environmentLayer),
    caddyLayer(settings),
  ];
}

/** Every file of a host by its path. */
export function hostFiles(settings: HostSettings): Map<string, Extract<Item, { kind: 'file' }>> {
  const files = hostLayers(settings).flatMap(({ items }) =>
    items.flatMap((one) => (one.kind === 'file' ? [one] : [])),
  );
  return new Map(files.map((one) => [one.path, one]));
}

/** What is done on a host, in its order, a line each. */
export function hostSteps(settings: HostSettings): string[] {
  return hostLayers(settings).flatMap(({ name, items, reload }) => [
    ...items.map(
      (one) => `${name}: ${one.kind} ${'path' in one ? one.path : 'name' in one ? one.name : one.user}`,
    ),
    ...(reload === undefined ? [] : [`${name}: where a file changed: ${reload.replaceAll('\n', ' ')}`]),
  ]);
}
