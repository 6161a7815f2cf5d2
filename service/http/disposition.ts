/** Names of files in `Content-Disposition` (RFC 6266), of what somebody sends or gets. */

const MOST = 500;

/** Control characters and what separates folders are no part of a name. */
function plainName(text: string): string | undefined {
  const name = (text.split(/[\\/]/).at(-1) ?? '').replace(/\p{Cc}/gu, '').trim();
  return name === '' || name === '.' || name === '..' ? undefined : name.slice(0, MOST).toWellFormed();
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The name that a header gives; undefined: none. The extended form wins. */
export function fileName(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(header)?.[1];
  const name = extended === undefined ? undefined : decoded(extended);
  if (name !== undefined) return plainName(name);
  const [, quoted, token] = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(header) ?? [];
  const text = quoted?.replace(/\\(.)/g, '$1') ?? token;
  // Headers come as Latin-1; what is well-formed UTF-8 was meant as such.
  const bytes = text === undefined ? undefined : Buffer.from(text, 'latin1');
  if (bytes === undefined) return undefined;
  const utf8 = bytes.toString('utf8');
  return plainName(utf8.includes('\ufffd') ? bytes.toString('latin1') : utf8);
}

/** To be saved, never shown: what somebody sent must not run as a page of ours. */
export function asDownload(name: string | null): string {
  if (name === null) return 'attachment';
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const extended = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${extended}`;
}
