import { DnsRecord } from '@pulumi/digitalocean/dnsRecord.js';
import { Domain } from '@pulumi/digitalocean/domain.js';
import * as pulumi from '@pulumi/pulumi';
import type { Config } from '../config.ts';
import { type RecordLine, records } from '../lib/records.ts';
import { waitForAddress } from '../lib/wait-for-address.ts';

export interface Dns {
  /** What has to be in the zone, whoever keeps it. */
  records: pulumi.Output<RecordLine[]>;
  urns: pulumi.Output<string>[];
}

/** The names of the site: made at DigitalOcean, or printed and waited for. */
export function dns(config: Config, address: pulumi.Output<string>): Dns {
  const lines = records(config);
  const wanted = address.apply((ip) => lines.map((line) => ({ ...line, value: line.value ?? ip })));
  if (config.dns === 'external') {
    address.apply((ip) => (pulumi.runtime.isDryRun() ? undefined : waitForAddress(config, ip)));
    return { records: wanted, urns: [] };
  }
  // Never with an ipAddress: that makes a record that nobody here knows.
  const zone = config.ownsZone ? new Domain('zone', { name: config.zone }, { protect: true }) : null;
  for (const line of lines)
    new DnsRecord(line.id, {
      domain: zone?.name ?? config.zone,
      type: line.type,
      name: line.name,
      // A name as a value ends with a dot, or the zone is put behind it.
      value: line.type === 'CAA' ? `${line.value}.` : (line.value ?? address),
      ttl: line.ttl,
      ...(line.type === 'CAA' && { flags: line.flags, tag: line.tag }),
    });
  return { records: wanted, urns: zone === null ? [] : [zone.domainUrn] };
}
