/**
 * The words of a host.
 *
 * item    one thing that is on a host or is not: a package, a user, a folder, a file, a unit
 * layer   items that belong together: their files are checked together and go in place together, and what hangs on them
 *         is restarted or reloaded once
 * change  an item that was not as it should be
 */

export type Item =
  | { kind: 'package'; name: string }
  | { kind: 'user'; name: string; home: string; shell: string; groups?: readonly string[]; system: boolean }
  /** `user:group`. */
  | { kind: 'folder'; path: string; owner: string; mode: string }
  | { kind: 'file'; path: string; owner: string; mode: string; content: string; secret?: true }
  | { kind: 'absent'; path: string }
  /** Of a file or folder that the system brought; where it is not there, nothing is done. */
  | { kind: 'mode'; path: string; mode: string }
  /** A line `<key> <value>` of a file that is not ours as a whole. */
  | { kind: 'setting'; path: string; key: string; value: string }
  /** A file that only somebody can bring: what is needed and was not brought is named, and is no change. */
  | { kind: 'awaited'; path: string }
  | { kind: 'locked-password'; user: string }
  /** Neither enabled nor running; that it is not known is as good. */
  | { kind: 'unit-off'; name: string }
  /** Enabled and running. */
  | { kind: 'unit'; name: string };

export interface Layer {
  name: string;
  items: readonly Item[];
  /**
   * Shell that fails where the files would not work. It runs before any of them is in place; `$new` is a folder that
   * holds them under their paths.
   */
  check?: string;
  /** Shell that makes changed files count. */
  reload?: string;
}

type FileItem = Extract<Item, { kind: 'file' }>;

/** A file of the system, readable by everybody unless told otherwise. */
export function file(path: string, content: string, how: Partial<FileItem> = {}): FileItem {
  return { kind: 'file', path, owner: 'root:root', mode: '0644', content, ...how };
}

export const folder = (path: string, mode = '0755', owner = 'root:root'): Item => ({
  ...{ kind: 'folder', path },
  ...{ mode, owner },
});
export const packages = (...names: string[]): Item[] => names.map((name) => ({ kind: 'package', name }));
export const unit = (name: string): Item => ({ kind: 'unit', name });
