import type { TestService } from '../helpers/service.ts';

/** Pages and their forms as a browser without JavaScript uses them. */
export function formsOf(service: () => TestService, cookie: () => string) {
  async function page(path: string, as = cookie()): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${service().url}${path}`, {
      headers: { Cookie: as, Accept: 'text/html' },
      redirect: 'manual',
    });
    return { status: answer.status, text: await answer.text() };
  }

  /** Sends a form of a page; where it leads, or what it shows. */
  async function submit(path: string, fields: Record<string, string>, as = cookie()) {
    const csrf = /name="_csrf" value="([^"]+)"/.exec((await page('/sessions', as)).text)?.[1] ?? '';
    const answer = await fetch(`${service().url}${path}`, {
      method: 'POST',
      headers: { Cookie: as, Accept: 'text/html', Origin: service().url },
      body: new URLSearchParams({ _csrf: csrf, ...fields }),
      redirect: 'manual',
    });
    const [location, text] = [answer.headers.get('location') ?? '', await answer.text()];
    return { status: answer.status, location, text };
  }

  /** What a page's form would send if nobody touched it, of the form that goes to a place. */
  function fieldsOf(text: string, action: string): Record<string, string> {
    const form = text.split('<form').find((one) => one.includes(`action="${action}"`)) ?? '';
    const body = form.slice(0, form.indexOf('</form>'));
    const fields: Record<string, string> = {};
    for (const [tag] of body.matchAll(/<input[^>]*>/g)) {
      const [name, value] = ['name', 'value'].map((one) => new RegExp(`\\s${one}="([^"]*)"`).exec(tag)?.[1]);
      if (tag.includes('type="checkbox"') && !/\schecked/.test(tag)) continue;
      if (name !== undefined && name !== '_csrf') fields[name] = value ?? '';
    }
    for (const [, name, options] of body.matchAll(/<select[^>]*name="([^"]*)"[^>]*>([^]*?)<\/select>/g))
      fields[name ?? ''] = /value="([^"]*)"[^>]*selected/.exec(options ?? '')?.[1] ?? '';
    return fields;
  }

  return { page, submit, fieldsOf };
}
