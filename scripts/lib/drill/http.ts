import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/** Calls of a drill, over the socket of the application that it started. */

export interface Said {
  status: number;
  body: string;
}

export type Ask = (path: string, method?: 'GET' | 'POST') => Promise<Said>;

export function askerOf(socketPath: string, token: string, signal: AbortSignal): Ask {
  return (path, method = 'GET') =>
    new Promise((resolve, reject) => {
      const headers = { host: 'localhost', authorization: `Bearer ${token}` };
      const sending = request({ socketPath, path, method, headers, signal }, (answer) => {
        text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
      });
      sending.on('error', reject);
      sending.end();
    });
}
