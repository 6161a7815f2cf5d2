import type { Config } from '../config.ts';

/** A line of a zone. */
export interface RecordLine {
  /** Its name in the stack. */
  id: string;
  type: 'A' | 'CAA';
  /** In the zone: `@` for the zone itself. */
  name: string;
  /** Null: the host's address. */
  value: string | null;
  /** Seconds; all records of one name and type have the same. */
  ttl: number;
  /** Of a CAA record. */
  flags?: number;
  tag?: string;
}

/** Short, so that a moved address is found soon. */
const TTL = 300;

/** The address of the site, and who may issue certificates for it. */
export function records(config: Pick<Config, 'name' | 'certificateAuthorities'>): RecordLine[] {
  const { name } = config;
  const authorities = config.certificateAuthorities.map((authority, at): RecordLine => ({
    id: `certificates-${at + 1}`,
    type: 'CAA',
    name,
    value: authority,
    ttl: TTL,
    flags: 0,
    tag: 'issue',
  }));
  return [{ id: 'site', type: 'A', name, value: null, ttl: TTL }, ...authorities];
}

/** As a zone file has it, and as most forms of DNS providers ask for it. */
export const zoneLine = (line: RecordLine, address: string): string =>
  line.type === 'CAA'
    ? `${line.name} ${line.ttl} IN CAA ${line.flags ?? 0} ${line.tag ?? 'issue'} "${line.value}"`
    : `${line.name} ${line.ttl} IN A ${line.value ?? address}`;
