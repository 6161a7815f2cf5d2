import { describe, expect, it } from 'vitest';
import { missingTable } from '../../../scripts/lib/postgres/program.ts';
import { connection, findTools, toolsFor } from '../../../scripts/lib/postgres/tools.ts';

const tools = (...majors: number[]) =>
  majors.map((major) => ({ folder: `/pg/${major}`, version: `${major}.3`, major }));

describe('the tools for a server', () => {
  it('are its own version, else the next one', () => {
    expect(toolsFor(tools(17, 15, 16), 15).major).toBe(15);
    expect(toolsFor(tools(17, 16), 15).major).toBe(16);
  });

  it('are never older, and the way out is named', () => {
    expect(() => toolsFor(tools(14, 15), 16)).toThrow(/15\.3; version 16 or later is needed/);
    expect(() => toolsFor([], 16)).toThrow(/not on this machine/);
  });

  it('are looked for in folders that hold both programs', async () => {
    expect(await findTools({ PATH: '/nowhere:/etc' }, '/nowhere')).toEqual([]);
  });
});

describe('the connection of a program', () => {
  it.each([
    ['postgres://me:s%40crt@host:5433/db', 'postgres://me@host:5433/db', 's@crt'],
    [
      'postgres://me@host/db?password=secret&sslmode=require',
      'postgres://me@host/db?sslmode=require',
      'secret',
    ],
    [
      'postgres://host/db?sslmode=no-verify&uselibpqcompat=true',
      'postgres://host/db?sslmode=require',
      undefined,
    ],
  ])('%s carries its password in the environment alone', (url, dbname, password) => {
    const made = connection(url, { HOME: '/home/me' });
    expect([made.dbname, made.env.PGPASSWORD, made.env.HOME]).toEqual([dbname, password, '/home/me']);
  });
});

it('a table of contents holds the tables whose rows are in the dump', () => {
  const contents = [
    '; Archive created at 2026-05-01',
    '215; 1259 16386 TABLE public only_defined postgres',
    '3400; 0 16386 TABLE DATA public meta postgres',
    '3401; 0 16390 TABLE DATA public a table postgres',
  ];
  expect(missingTable(contents, ['public.meta', 'public.a table'])).toBeNull();
  expect(missingTable(contents, ['public.meta', 'public.only_defined'])).toBe('public.only_defined');
});
