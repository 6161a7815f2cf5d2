import { FactoryError } from '../errors.ts';

/** The Postgres schema that holds how far a port is. As long as it is there, the database is not to be used. */
export const PORT_SCHEMA = 'factory_port';

export const PORT_IS_OPEN = `select to_regnamespace('${PORT_SCHEMA}') is not null as open`;

/** Errors: `port-unfinished`. */
export function assertPorted(target: string, isOpen: boolean | undefined): void {
  if (isOpen !== true) return;
  throw new FactoryError({
    code: 'port-unfinished',
    op: 'open database',
    target,
    message: `${target} is the target of a port that is not finished.`,
    hint: 'Run `npx factory port copy` and then `npx factory port verify`, or go on with the old database: set FACTORY_DATABASE_URL back.',
  });
}
