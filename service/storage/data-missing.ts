import { FactoryError } from '../errors.ts';

/** Where opening the SQLite file would make a new one. */
export function dataMissing(path: string): FactoryError {
  return new FactoryError({
    code: 'data-missing',
    op: 'open database',
    target: path,
    message: `There is no database at ${path}.`,
    hint: 'Run this in the folder that the service starts in, or set FACTORY_DATA_DIR; the first `npm start` makes one.',
  });
}
