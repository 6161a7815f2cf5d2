import { expect, it } from 'vitest';
import { startItems } from './service.fixture.ts';

it.each([
  { summary: 'First.\r\n\r\n- one\r\n- two\r\n', reads: 'First.\n\n- one\n- two' },
  { summary: '  ---\nnot the end of anything  ', reads: '---\nnot the end of anything' },
])('a new item is what its record says: reading it changes nothing (%#)', async ({ summary, reads }) => {
  const { items, owner } = await startItems({});
  const { id, version } = await items.create(owner, {
    ...{ title: 'true: "yes"', summary, workType: 'null', branch: '0x10', validation: "it's" },
    ...{ criteria: ['# no comment', 'a\r\nb', ' spaced '], prompt: 'Do it.\r\n' },
  });
  expect(version).toBe(1);
  await items.rescan();
  expect(await items.show(owner, id)).toMatchObject({ version: 1, summary: reads, title: 'true: "yes"' });
});
