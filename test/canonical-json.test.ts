import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../service/canonical-json.ts';

describe('canonicalJson', () => {
  it('writes what the library writes, for any JSON value', () => {
    const json = fc.jsonValue({ stringUnit: 'grapheme' });
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(value)).toBe(canonicalize(value));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    [{ b: 1, a: [true, null] }, '{"a":[true,null],"b":1}'],
    [{ '10': 1, '9': 2, a: 3 }, '{"10":1,"9":2,"a":3}'],
    [{ x: undefined, y: 1 }, '{"y":1}'],
    [JSON.parse('{"__proto__":1,"a":2}'), '{"__proto__":1,"a":2}'],
    [1e21, '1e+21'],
  ])('%j is %s', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it.each([[Number.NaN], [{ a: Number.POSITIVE_INFINITY }], ['\ud800'], [{ '\udc00': 1 }], [undefined]])(
    'refuses %j',
    (value) => {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    },
  );
});
