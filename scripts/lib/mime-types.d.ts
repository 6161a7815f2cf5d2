/** The package has no types of its own. */
declare module 'mime-types' {
  /** Of a name or path, by its ending; false where that says nothing. */
  export function lookup(name: string): string | false;
}
