import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { B2_CAPABILITIES } from '../../infra/lib/access.ts';
import { b2KeyProvider, type B2KeyInputs } from '../../infra/lib/b2-key.ts';
import { backblaze, type BackblazeDouble } from '../cloud/backblaze.ts';

let b2: BackblazeDouble;
let inputs: B2KeyInputs;
beforeEach(async () => {
  b2 = await backblaze({ pageSize: 2 });
  b2.buckets.set('factory-backups', 'bucket-1');
  inputs = {
    endpoint: b2.url,
    keyId: b2.keyId,
    key: b2.key,
    name: 'factory-production-host-1',
    bucket: 'factory-backups',
    capabilities: B2_CAPABILITIES.host,
  };
});
afterEach(async () => {
  expect(b2.violations).toEqual([]);
  await b2.close();
});

/** What the state holds of a key that was made. */
async function make(changes: Partial<B2KeyInputs> = {}): Promise<{ id: string; outs: B2KeyInputs }> {
  const { id, outs } = await b2KeyProvider.create({ ...inputs, ...changes });
  return { id, outs: outs as B2KeyInputs };
}

describe('an application key of Backblaze', () => {
  it('is made for one bucket, with what its holder may, and its secret is kept', async () => {
    const { id, outs } = await make();
    const key = b2.keys.get(id);
    expect(key).toMatchObject({
      bucketId: 'bucket-1',
      capabilities: B2_CAPABILITIES.host,
      keyName: inputs.name,
    });
    expect(outs).toMatchObject({ applicationKeyId: id, applicationKey: key?.secret });
  });

  it('is not made twice under one name, whichever page its twin is on', async () => {
    for (const name of ['a', 'b', 'c']) await make({ name });
    await make();
    await expect(make()).rejects.toThrow('Delete it at Backblaze and run this again');
    expect(b2.keys.size).toBe(4);
  });

  it('is found after a create whose answer was lost', async () => {
    b2.fault({ method: 'POST', path: /b2_create_key/, kind: 'lost', times: 1 });
    await expect(make()).rejects.toThrow();
    await expect(make()).rejects.toThrow('Not created');
    expect(b2.keys.size).toBe(1);
  });

  it('waits when Backblaze is busy, but does not send a create twice', async () => {
    b2.fault({ method: 'GET', path: /b2_authorize_account/, kind: 429, times: 1 });
    b2.fault({ method: 'POST', path: /b2_list_keys/, kind: 429, times: 1 });
    await make();
    b2.fault({ method: 'POST', path: /b2_create_key/, kind: 503, times: 1 });
    await expect(make({ name: 'other' })).rejects.toThrow('answered 503 to b2_create_key');
    expect(b2.keys.size).toBe(1);
  });

  it('is read back, and gone if somebody deleted it', async () => {
    const { id, outs } = await make();
    expect(await b2KeyProvider.read(id, outs)).toMatchObject({
      id,
      props: { capabilities: inputs.capabilities },
    });
    b2.keys.delete(id);
    expect(await b2KeyProvider.read(id, outs)).toEqual({});
  });

  it('is deleted, and a second time too', async () => {
    const { id, outs } = await make();
    await b2KeyProvider.delete(id, outs);
    await b2KeyProvider.delete(id, outs);
    expect(b2.keys.size).toBe(0);
  });

  it('is not called deleted while it is there', async () => {
    const { id, outs } = await make();
    b2.fault({ method: 'POST', path: /b2_delete_key/, kind: 500, times: 1 });
    await expect(b2KeyProvider.delete(id, outs)).rejects.toThrow('answered 500');
  });

  it.each<[string, Partial<B2KeyInputs>, boolean, string[]]>([
    ['nothing', {}, false, []],
    ['the order of what it may', { capabilities: [...B2_CAPABILITIES.host].reverse() }, false, []],
    ['what it may', { capabilities: ['listFiles'] }, true, ['capabilities']],
    ['its bucket', { bucket: 'other' }, true, ['bucket']],
    ['its name', { name: 'other' }, true, ['name']],
    ["the account's key", { key: 'other' }, true, []],
  ])('is replaced or not by a change of %s', async (_what, change, changes, replaces) => {
    const diff = await b2KeyProvider.diff('id', inputs, { ...inputs, ...change });
    expect(diff).toMatchObject({ changes, replaces });
  });

  it('keeps its secret when only the key of the account changed', async () => {
    const { id, outs } = await make();
    const updated = await b2KeyProvider.update(id, outs, { ...inputs, key: 'new' });
    expect(updated.outs).toMatchObject({ key: 'new', applicationKeyId: id });
  });

  it.each<[string, Partial<B2KeyInputs>, string]>([
    ['a wrong key', { key: 'wrong' }, 'pulumi config set --secret build-factory:b2KeyId'],
    ['a bucket that is not there', { bucket: 'other' }, 'no bucket other'],
    ['an unknown capability', { capabilities: ['flyFiles'] }, 'Invalid capability: flyFiles'],
    ['what a key of one bucket cannot', { capabilities: ['writeKeys'] }, 'cannot have that capability'],
  ])('says what is wrong with %s', async (_name, changes, message) => {
    await expect(make(changes)).rejects.toThrow(message);
    expect(b2.keys.size).toBe(0);
  });

  it('for the host may not make keys, and cannot be used to', async () => {
    const { id, outs } = await make();
    const { applicationKey } = outs as B2KeyInputs & { applicationKey: string };
    await expect(make({ keyId: id, key: applicationKey, name: 'mine' })).rejects.toThrow(
      'insufficient permissions',
    );
  });
});
