import { Resolver } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import * as pulumi from '@pulumi/pulumi';
import type { Config } from '../config.ts';
import { domainOf } from './names.ts';
import { records, zoneLine } from './records.ts';

const POLL_MS = 15_000;

/** How waiting looks at the world; tests give their own. */
export interface World {
  resolve: (name: string) => Promise<string[]>;
  sleep: (ms: number) => Promise<unknown>;
  now: () => number;
  tell: (line: string) => unknown;
  warn: (line: string) => unknown;
}

const world = (): World => ({
  resolve: (name) => new Resolver({ timeout: 5000, tries: 2 }).resolve4(name),
  sleep,
  now: Date.now,
  tell: (line) => pulumi.log.info(line),
  warn: (line) => pulumi.log.warn(line),
});

/**
 * Prints the records that the zone needs and waits until the site's name leads to the address. Answers whether it does;
 * after `dnsWaitMinutes` it warns and answers false, because records can be made later too.
 */
export async function waitForAddress(
  config: Pick<Config, 'zone' | 'name' | 'certificateAuthorities' | 'dnsWaitMinutes'>,
  address: string,
  { resolve, sleep, now, tell, warn }: World = world(),
): Promise<boolean> {
  const domain = domainOf(config.name, config.zone);
  const lines = records(config).map((line) => `  ${zoneLine(line, address)}`);
  tell(`The zone ${config.zone} needs these records:\n${lines.join('\n')}`);
  const until = now() + config.dnsWaitMinutes * 60_000;
  for (;;) {
    const found = await resolve(domain).catch(() => []);
    if (found.length === 1 && found[0] === address) return true;
    if (now() >= until) {
      const leads = found.length === 0 ? 'nowhere' : `to ${found.join(', ')}`;
      warn(
        `${domain} leads ${leads}, not to ${address}. Make the records and run this again; there is no certificate before.`,
      );
      return false;
    }
    await sleep(POLL_MS);
  }
}
