/** Who asks: a person who is signed in, or a token of theirs. */
export interface Principal {
  kind: 'person' | 'token';
  id: string;
  name: string;
  personId: string;
  roles: string[];
  permissions: ReadonlySet<string>;
}
