import type { Config } from '../../../service/config.ts';
import type { Seat } from './seat.ts';

/** Each engine's driver is loaded where it is used only. */
export async function seatOf(config: Config): Promise<Seat> {
  if (config.databaseUrl.startsWith('sqlite:')) return (await import('./file-seat.ts')).fileSeat(config);
  return (await import('./postgres-seat.ts')).postgresSeat(config);
}
