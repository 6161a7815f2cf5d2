/** Which files claim an id that their name does not have. Only files that were read are known here. */
export function createClaims() {
  /** Claimed id -> files of another name that claim it. */
  const claims = new Map<string, Set<string>>();
  const claimedBy = new Map<string, string>();

  /** What the file says now; null: it is gone or gives no id. */
  function note(path: string, claimedId: string | null): void {
    const before = claimedBy.get(path);
    if (before !== undefined && before !== claimedId) {
      claims.get(before)?.delete(path);
      if (claims.get(before)?.size === 0) claims.delete(before);
      claimedBy.delete(path);
    }
    if (claimedId === null || path.endsWith(`/${claimedId}.md`)) return;
    claims.set(claimedId, (claims.get(claimedId) ?? new Set()).add(path));
    claimedBy.set(path, claimedId);
  }

  return {
    note,
    of: (id: string): string[] => [...(claims.get(id) ?? [])],
    ids: (): string[] => [...claims.keys()],
    has: (id: string): boolean => claims.has(id),
  };
}
