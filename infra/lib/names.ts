/** Names are identities: whoever looks for what a cut-off run left behind looks by these. */

/** What a name begins with on the host too: user, folders, units. */
export const prefix = (environment: string): string => `factory-${environment}`;

/** A host that is built anew beside the old one has the next generation, and so another name. */
export const dropletName = (environment: string, generation: number): string =>
  `${prefix(environment)}-${generation}`;

/** DigitalOcean's tags take letters, digits, `:`, `-` and `_`. */
export const tags = (environment: string): string[] => ['factory', prefix(environment)];

/** What a host is called from outside: the zone itself, or a name below it. */
export const domainOf = (name: string, zone: string): string => (name === '@' ? zone : `${name}.${zone}`);

/** Host and prune keys of a destination: never one key for both. */
export const keyName = (environment: string, use: 'host' | 'prune', place: number): string =>
  `${prefix(environment)}-${use}-${place}`;
