import { httpDouble, type HttpDouble } from './http-double.ts';

/** Names of buckets, which are unique among all customers. What is in them has tests of its own (npm run test:s3). */
export async function bucketNames(
  made: (name: string) => void,
): Promise<HttpDouble & { names: Set<string> }> {
  const names = new Set<string>();
  const path = /^\/buckets\/([a-z0-9-]+)$/;
  const double = await httpDouble({
    before: () => null,
    error: (status) => ({ status }),
    routes: [
      {
        method: 'PUT',
        path,
        handle: ({ parts: [name = ''] }) => {
          if (names.has(name)) return { status: 409 };
          names.add(name);
          made(name);
          return { status: 200 };
        },
      },
      { method: 'GET', path, handle: ({ parts: [name = ''] }) => ({ status: names.has(name) ? 200 : 404 }) },
      {
        method: 'DELETE',
        path,
        handle: ({ parts: [name = ''] }) => ({ status: names.delete(name) ? 204 : 404 }),
      },
    ],
  });
  return { ...double, names };
}
