/** What two starts of the product do not answer alike, whatever the engine. Everything else has to be the same. */

interface Differing {
  what: string;
  /** The places of the router that it is about; absent: all. */
  where?: RegExp;
  is: RegExp;
}

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

const DIFFERING: Differing[] = [
  { what: 'id of the request', is: new RegExp(`(?<="requestId":")${UUID}`, 'g') },
  { what: 'id of the request', is: new RegExp(`(?<=request <code>|data-copy=")${UUID}`, 'g') },
  { what: 'key of a form', is: new RegExp(`(?<=name="(?:key|idempotencyKey)"\\s+value=")${UUID}`, 'g') },
  { what: 'how long it took', where: /^\/search/, is: /(?<= in )[\d,.]+ ms(?=, the newest first)/g },
  // A dump is always a full backup.
  {
    ...{ what: 'the differential backup', where: /operations/ },
    is: /(?<="name":"differential","title":"Differential backup",)[^{}]*|(?<=Differential backup<\/td>)[^]*?(?=<\/tr>)/g,
  },
  { what: 'free space', where: /health|operations/, is: /[\d,]+ MB free, \d+ %/g },
];

/** Of these only status and headers are compared: figures of the process, not of the data. */
export const OF_THE_PROCESS: ReadonlySet<string> = new Set(['/metrics']);

export function masked(template: string, text: string): string {
  return DIFFERING.filter(({ where }) => where?.test(template) ?? true).reduce(
    (rest, { is, what }) => rest.replaceAll(is, `<${what}>`),
    text,
  );
}
