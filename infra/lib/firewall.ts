/** A rule as DigitalOcean's firewall takes it. */
export interface InboundRule {
  protocol: 'tcp' | 'udp' | 'icmp';
  portRange?: string;
  sourceAddresses: string[];
}
export interface OutboundRule {
  protocol: 'tcp' | 'udp' | 'icmp';
  portRange?: string;
  destinationAddresses: string[];
}

export const ANYWHERE = ['0.0.0.0/0', '::/0'];

/** Pages and the deployer come by 80 and 443, operators by 22 from their own addresses only. */
export const inboundRules = (sshFrom: string[]): InboundRule[] => [
  { protocol: 'tcp', portRange: '22', sourceAddresses: sshFrom },
  { protocol: 'tcp', portRange: '80', sourceAddresses: ANYWHERE },
  { protocol: 'tcp', portRange: '443', sourceAddresses: ANYWHERE },
];

/** Without outbound rules nothing leaves: names, packages, certificates and buckets, the time. */
export const outboundRules = (): OutboundRule[] => [
  { protocol: 'tcp', portRange: '53', destinationAddresses: ANYWHERE },
  { protocol: 'udp', portRange: '53', destinationAddresses: ANYWHERE },
  { protocol: 'tcp', portRange: '80', destinationAddresses: ANYWHERE },
  { protocol: 'tcp', portRange: '443', destinationAddresses: ANYWHERE },
  { protocol: 'udp', portRange: '123', destinationAddresses: ANYWHERE },
  { protocol: 'icmp', destinationAddresses: ANYWHERE },
];

const NARROWEST_NET = { v4: 16, v6: 32 };

/** Whether so many addresses are allowed that it amounts to anybody: wider than /16 (IPv6: /32). */
export function isWide(cidr: string): boolean {
  const [address = '', bits] = cidr.split('/');
  const v6 = address.includes(':');
  const prefix = bits === undefined ? (v6 ? 128 : 32) : Number(bits);
  return prefix < (v6 ? NARROWEST_NET.v6 : NARROWEST_NET.v4);
}

/** Whether `22`, `20-30`, `all`, `0` or nothing (all ports) lets SSH through. */
export function includesSsh(portRange: string | undefined): boolean {
  if (portRange === undefined || portRange === '' || portRange === 'all' || portRange === '0') return true;
  const [from, to] = portRange.split('-').map(Number);
  return from !== undefined && from <= 22 && 22 <= (to ?? from);
}
