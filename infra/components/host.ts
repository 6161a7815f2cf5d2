import { Droplet } from '@pulumi/digitalocean/droplet.js';
import { Firewall } from '@pulumi/digitalocean/firewall.js';
import { ReservedIp } from '@pulumi/digitalocean/reservedIp.js';
import { ReservedIpAssignment } from '@pulumi/digitalocean/reservedIpAssignment.js';
import { SshKey } from '@pulumi/digitalocean/sshKey.js';
import { Vpc } from '@pulumi/digitalocean/vpc.js';
import * as pulumi from '@pulumi/pulumi';
import type { Config } from '../config.ts';
import { inboundRules, outboundRules } from '../lib/firewall.ts';
import { domainOf, dropletName, prefix, tags } from '../lib/names.ts';
import { userData } from '../lib/user-data.ts';

export interface Host {
  /** The Reserved IP, which outlives the droplet. */
  address: pulumi.Output<string>;
  /** As a project takes it; none where the host is another stack's. */
  urns: pulumi.Output<string>[];
}

/**
 * Whatever of a droplet DigitalOcean can only change by a new droplet. A running host gets such a change by
 * `factory host apply`; a new droplet is what `generation` is for.
 */
const ONLY_BY_REPLACEMENT = ['image', 'region', 'sshKeys', 'userData', 'vpcUuid', 'monitoring'];

/** A VPS in a network of its own, behind a firewall, with an address that stays. */
export function host(config: Config): Host {
  const { environment, region, generation } = config;
  const name = prefix(environment);
  const vpc = new Vpc('network', { name, region, ipRange: config.vpcRange });
  const keys = config.operators.map(
    (operator) =>
      new SshKey(`ssh-${operator.name}`, { name: `${name}-${operator.name}`, publicKey: operator.sshKey }),
  );
  const droplet = new Droplet(
    `host-${generation}`,
    {
      name: dropletName(environment, generation),
      region,
      size: config.size,
      image: config.image,
      // A disk that grew cannot shrink: a larger size takes processors and memory only.
      resizeDisk: false,
      ipv6: true,
      monitoring: true,
      vpcUuid: vpc.id,
      sshKeys: [...config.sshFingerprints, ...keys.map((key) => key.fingerprint)],
      tags: tags(environment),
      userData: userData({
        environments: [{ environment, domain: domainOf(config.name, config.zone) }],
        operators: config.operators,
        sshFrom: config.sshFrom,
      }),
    },
    { protect: true, ignoreChanges: ONLY_BY_REPLACEMENT },
  );
  const dropletId = droplet.id.apply(Number);
  new Firewall('firewall', {
    name,
    dropletIds: [dropletId],
    inboundRules: inboundRules(config.sshFrom),
    outboundRules: outboundRules(),
  });
  const reserved = new ReservedIp('address', { region }, { protect: true });
  new ReservedIpAssignment('address-assignment', { ipAddress: reserved.ipAddress, dropletId });
  return { address: reserved.ipAddress, urns: [droplet.dropletUrn, reserved.reservedIpUrn] };
}

/** Staging on production's VPS: only its address is needed, which production's stack tells. */
export function sharedHost(): Host {
  const production = new pulumi.StackReference('production', {
    name: `${pulumi.getOrganization()}/${pulumi.getProject()}/production`,
  });
  return { address: production.requireOutput('address') as pulumi.Output<string>, urns: [] };
}
