import { request, type Agent } from 'node:http';

/** Milliseconds until the whole answer is here. */
export function timed(url: string, agent: Agent, headers: Record<string, string>): Promise<number> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    request(url, { agent, headers }, (response) => {
      response.resume();
      if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`));
      response.once('end', () => resolve(performance.now() - started));
    })
      .once('error', reject)
      .end();
  });
}
