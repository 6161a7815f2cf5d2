import type { Verb } from '../verb.ts';

/** Releases, and how they come to a host. */
export const DEPLOY_VERBS: Verb[] = [
  {
    path: 'release',
    summary: 'Build an archive of this clone that runs by itself: the product, its packages and its own Node',
    details:
      'The same commit with the same packages gives the same bytes, wherever it is built; the name holds the digest.\n' +
      'Only committed files go into it, and nothing that development alone needs.',
    options: [
      {
        flags: '--out <folder>',
        description: 'where the archive goes (default: .tools/releases of the clone)',
      },
      { flags: '--dirty', description: 'also with changes that are not committed; the name says so' },
    ],
    load: async () => (await import('../../release.ts')).release,
  },
];
