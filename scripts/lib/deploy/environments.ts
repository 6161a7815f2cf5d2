/** What can be on a host, each apart from the other. */
export const ENVIRONMENTS = ['production', 'staging'] as const;
