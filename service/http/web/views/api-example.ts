/** A body that a call takes, from its schema: for the command beside its description. */

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The example that the schema has, else the least that it asks for. `schemas`: those that it may name. */
export function exampleOf(schema: unknown, schemas: Json): unknown {
  if (!isObject(schema)) return null;
  const of = (one: unknown): unknown => exampleOf(one, schemas);
  const { $ref, examples, anyOf, oneOf, type, items, properties } = schema;
  if (Array.isArray(examples) && examples.length > 0) return examples[0] as unknown;
  if (typeof $ref === 'string') return of(schemas[$ref.split('/').at(-1) ?? '']);
  if ('const' in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0] as unknown;
  const [first] = [anyOf, oneOf].filter(Array.isArray).flat() as unknown[];
  if (first !== undefined) return of(first);
  if (type === 'array') return Number(schema.minItems ?? 0) > 0 ? [of(items)] : [];
  if (type === 'object') {
    const required = Array.isArray(schema.required) ? (schema.required as string[]) : [];
    const all = isObject(properties) ? properties : {};
    return Object.fromEntries(required.map((name) => [name, of(all[name])]));
  }
  if (type === 'integer' || type === 'number')
    return Math.max(
      Number(schema.minimum ?? 0),
      'exclusiveMinimum' in schema ? Number(schema.exclusiveMinimum) + 1 : 0,
    );
  if (type === 'boolean') return false;
  return type === 'string' ? textOf(schema) : null;
}

const DIGEST = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function textOf({ format, pattern }: Json): string {
  if (pattern === '^[0-9a-f]{64}$') return DIGEST;
  if (format === 'uuid') return '01a21d0a-76da-7269-9f32-fa7e6979927c';
  if (format === 'date-time') return '2030-01-31T12:00:00.000Z';
  return 'text';
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What curl is given for the body: a file for what is streamed, else the example. */
export function curlBody(
  { required, content = {} }: { required?: boolean; content?: Record<string, { schema?: unknown }> },
  schemas: Json,
): string {
  const [[type, { schema }] = ['application/json', {}]] = Object.entries(content);
  if (isObject(schema) && schema.format === 'binary')
    return `-H 'Content-Type: ${type === '*/*' ? 'text/plain' : type}' --data-binary @FILE`;
  const example = exampleOf(schema, schemas);
  const body = required || (isObject(example) && Object.keys(example).length > 0) ? example : {};
  return `-H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`;
}
