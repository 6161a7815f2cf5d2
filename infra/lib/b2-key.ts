import * as pulumi from '@pulumi/pulumi';

/** An application key of Backblaze B2: it is no IAM, so the AWS provider cannot make one. */
export interface B2KeyInputs {
  /** `https://api.backblazeb2.com` */
  endpoint: string;
  /** The account's own key, which may make keys. */
  keyId: string;
  key: string;
  name: string;
  /** The only bucket that the key is for. */
  bucket: string;
  capabilities: string[];
}

interface Session {
  accountId: string;
  apiUrl: string;
  token: string;
}
interface B2Failure extends Error {
  status?: number;
}

/**
 * Pulumi keeps the text of this class in the state and runs it from there: it may use nothing but what every Node has, so
 * it imports nothing and calls nothing outside of itself.
 */
class B2KeyProvider implements pulumi.dynamic.ResourceProvider<B2KeyInputs, B2KeyInputs> {
  /** Asks again after 429 and 503, which B2 answers when it is busy; creating is asked once. */
  async call(url: string, init: RequestInit, tries: number): Promise<Record<string, unknown>> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) });
      const body = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
      if (answer.ok) return body;
      if ((answer.status === 429 || answer.status === 503) && attempt < tries) {
        const seconds = Number(answer.headers.get('retry-after')) || 0.25 * 2 ** attempt;
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        continue;
      }
      const operation = new URL(url).pathname.split('/').at(-1);
      const why = `${String(body.code)}: ${String(body.message)}`;
      throw Object.assign(new Error(`Backblaze answered ${answer.status} to ${operation} (${why}).`), {
        status: answer.status,
      });
    }
  }

  async open({ endpoint, keyId, key }: B2KeyInputs): Promise<Session> {
    const authorization = `Basic ${Buffer.from(`${keyId}:${key}`).toString('base64')}`;
    const url = `${endpoint}/b2api/v3/b2_authorize_account`;
    const answer = await this.call(url, { headers: { authorization } }, 5).catch((error: B2Failure) => {
      if (error.status !== 401) throw error;
      throw new Error(
        'Backblaze refused the key. Set one that may make keys and buckets: pulumi config set --secret build-factory:b2KeyId (and b2Key)',
      );
    });
    const { storageApi } = answer.apiInfo as { storageApi: { apiUrl: string } };
    return {
      accountId: String(answer.accountId),
      apiUrl: storageApi.apiUrl,
      token: String(answer.authorizationToken),
    };
  }

  post(session: Session, operation: string, body: object, tries: number): Promise<Record<string, unknown>> {
    const init = {
      method: 'POST',
      headers: { authorization: session.token, 'content-type': 'application/json' },
      body: JSON.stringify({ accountId: session.accountId, ...body }),
    };
    return this.call(`${session.apiUrl}/b2api/v3/${operation}`, init, tries);
  }

  async keys(session: Session): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = [];
    let next: unknown = null;
    do {
      const start = next === null ? {} : { startApplicationKeyId: next };
      const page = await this.post(session, 'b2_list_keys', { maxKeyCount: 1000, ...start }, 5);
      found.push(...(page.keys as Record<string, unknown>[]));
      next = page.nextApplicationKeyId ?? null;
    } while (next !== null);
    return found;
  }

  async create(inputs: B2KeyInputs): Promise<pulumi.dynamic.CreateResult<B2KeyInputs>> {
    const session = await this.open(inputs);
    const { name, bucket, capabilities } = inputs;
    const twin = (await this.keys(session)).find((one) => one.keyName === name);
    // Its secret is shown once, when it is made: one that nobody has is worth nothing.
    if (twin !== undefined)
      throw new Error(
        `Not created: the account has a key ${name} already (${String(twin.applicationKeyId)}), whose secret this stack does not know. Delete it at Backblaze and run this again.`,
      );
    const listed = await this.post(session, 'b2_list_buckets', { bucketName: bucket }, 5);
    const [found] = listed.buckets as { bucketId: string }[];
    if (found === undefined) throw new Error(`Backblaze has no bucket ${bucket} in this account.`);
    const asked = { keyName: name, capabilities, bucketId: found.bucketId };
    const made = await this.post(session, 'b2_create_key', asked, 1);
    const id = String(made.applicationKeyId);
    return {
      id,
      outs: { ...inputs, applicationKeyId: id, applicationKey: String(made.applicationKey) } as B2KeyInputs,
    };
  }

  async read(id: string, props?: B2KeyInputs): Promise<pulumi.dynamic.ReadResult<B2KeyInputs>> {
    if (props === undefined)
      throw new Error('A key of Backblaze cannot be imported: nobody can read its secret.');
    const found = (await this.keys(await this.open(props))).find((one) => one.applicationKeyId === id);
    // No id: it is gone, and the next `up` makes another.
    if (found === undefined) return {};
    return { id, props: { ...props, capabilities: found.capabilities as string[] } };
  }

  async diff(_id: string, olds: B2KeyInputs, news: B2KeyInputs): Promise<pulumi.dynamic.DiffResult> {
    const sorted = (one: B2KeyInputs): string => [...one.capabilities].sort().join();
    const replaces = [
      ...(olds.name === news.name ? [] : ['name']),
      ...(olds.bucket === news.bucket ? [] : ['bucket']),
      ...(sorted(olds) === sorted(news) ? [] : ['capabilities']),
    ];
    const access = olds.keyId !== news.keyId || olds.key !== news.key || olds.endpoint !== news.endpoint;
    return { changes: replaces.length > 0 || access, replaces, deleteBeforeReplace: true };
  }

  /** Only the account's own key changed, of which Backblaze knows nothing. */
  async update(
    _id: string,
    olds: B2KeyInputs,
    news: B2KeyInputs,
  ): Promise<pulumi.dynamic.UpdateResult<B2KeyInputs>> {
    return { outs: { ...olds, ...news } };
  }

  async delete(id: string, props: B2KeyInputs): Promise<void> {
    const session = await this.open(props);
    await this.post(session, 'b2_delete_key', { applicationKeyId: id }, 5).catch(async (error: B2Failure) => {
      const there = (await this.keys(session)).some((one) => one.applicationKeyId === id);
      if (there) throw error;
    });
  }
}

export const b2KeyProvider = new B2KeyProvider();

type Inputs<T> = { [K in keyof T]: pulumi.Input<T[K]> };

export class B2Key extends pulumi.dynamic.Resource {
  declare readonly applicationKeyId: pulumi.Output<string>;
  declare readonly applicationKey: pulumi.Output<string>;

  constructor(name: string, inputs: Inputs<B2KeyInputs>, opts?: pulumi.CustomResourceOptions) {
    super(
      b2KeyProvider,
      name,
      { ...inputs, applicationKeyId: undefined, applicationKey: undefined },
      { ...opts, additionalSecretOutputs: ['applicationKey', 'key', 'keyId'] },
    );
  }
}
