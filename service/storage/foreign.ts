import { FactoryError } from '../errors.ts';

/** A database of another application, on either engine. */
export function foreignDatabase(target: string, cause?: unknown): FactoryError {
  return new FactoryError({
    code: 'database-foreign',
    op: 'open database',
    target,
    message: `${target} is not a database of Build Factory.`,
    hint: 'Nothing was changed. Point FACTORY_DATABASE_URL or FACTORY_DATA_DIR to another place.',
    cause,
  });
}
