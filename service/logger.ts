import pino, { type DestinationStream } from 'pino';

export type Logger = pino.Logger;

/** What must never reach a log line, wherever it stands in a request. */
const SECRETS = [
  'req.headers.authorization',
  'req.headers.cookie',
  'res.headers["set-cookie"]',
  'token',
  'link',
  '*.token',
];

/** Structured logs on stderr: stdout belongs to answers. */
export function createLogger(
  level: string,
  destination: DestinationStream = pino.destination({ dest: 2, sync: false }),
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: SECRETS, censor: '[secret]' },
    },
    destination,
  );
}
