import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attribute, escapeText, html } from '../../../service/http/web/html.ts';

/** Reads what a browser would read back from text or an attribute that we wrote. */
function unescape(text: string): string {
  const names: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#96': '`' };
  return text.replace(/&(amp|lt|gt|quot|#39|#96);/g, (_, name: string) => names[name] ?? '');
}

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)",
    '</title>',
    '&lt;',
    '`',
    '<!--',
    ']]>',
    '\0',
  ),
  fc
    .array(fc.constantFrom('<', '>', '"', "'", '&', '`', '=', ' ', '/', '\0', 'a'))
    .map((parts) => parts.join('')),
);

describe('html', () => {
  it('lets no value end its element or attribute, and changes nothing of it but NUL', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        const { text: page } = html`<p title="${text}">${text}</p>`;
        const match = /^<p title="([^"<>]*)">([^<>]*)<\/p>$/.exec(page);
        expect(match).not.toBeNull();
        const kept = text.replaceAll('\0', '\uFFFD');
        expect(unescape(match?.[1] ?? '')).toBe(kept);
        expect(unescape(match?.[2] ?? '')).toBe(kept);
      }),
    );
  });

  it('escapes in nested templates and lists exactly once', () => {
    fc.assert(
      fc.property(fc.array(nasty), (texts) => {
        const page = html`<b>${texts.map((text) => html`<i>${text}</i>`)}</b>`;
        expect(page.text).toBe(`<b>${texts.map((text) => `<i>${escapeText(text)}</i>`).join('')}</b>`);
      }),
    );
  });

  it.each([
    [null, ''],
    [undefined, ''],
    [false, ''],
    [true, ''],
    [0, '0'],
    ['', ''],
    [['a', null, ['b', 1]], 'ab1'],
  ])('renders %j as %j', (value, text) => {
    expect(html`${value}`.text).toBe(text);
  });

  it('refuses a bare attribute, whose value could not be kept in', () => {
    const value = 'x onclick=alert(1)';
    expect(() => html`<p title=${value}></p>`).toThrow('quote the attribute');
  });

  it('leaves an attribute out when there is no value', () => {
    expect(html`<p${attribute('id', null)}${attribute('data-a', '"')}></p>`.text).toBe(
      '<p data-a="&quot;"></p>',
    );
  });
});
