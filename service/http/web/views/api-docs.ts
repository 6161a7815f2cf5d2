import { html, type Html } from '../html.ts';
import type { OpenApiDocument, OpenApiOperation } from '../ports.ts';
import { curlBody } from './api-example.ts';
import { twin, withCode, type View } from './parts.ts';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

interface Entry {
  method: string;
  path: string;
  operation: OpenApiOperation;
}

/** The API's reference, from the same document that machines read. */
export function apiDocsPage(view: View, document: OpenApiDocument): Html {
  const entries = Object.entries(document.paths).flatMap(([path, operations]) =>
    METHODS.flatMap((method): Entry[] => {
      const operation = operations[method];
      return operation ? [{ method: method.toUpperCase(), path, operation }] : [];
    }),
  );
  const groups = Map.groupBy(entries, ({ operation }) => operation.tags?.[0] ?? 'api');
  return html`<div class="row head">
      <h1>${document.info.title}</h1>
      <span class="muted small">release ${document.info.version}</span
      ><a class="push btn" href="/api/openapi.json">openapi.json</a>
    </div>
    ${document.info.description && html`<p class="lead muted">${withCode(document.info.description)}</p>`}
    <div class="stack">
      ${[...groups].map(
        ([tag, operations]) =>
          html`<section class="panel">
            <header><h2>${tag}</h2></header>
            <ul class="operations">
              ${operations.map((entry) => operationRow(view, entry, document.components?.schemas ?? {}))}
            </ul>
          </section>`,
      )}
    </div>
    <p class="more"><a class="link" href="${SCHEMAS}">Schemas</a>, which bodies and answers name</p>`;
}

const SCHEMAS = '/api/docs/schemas';

/** The named schemas, on a page of their own: together with the operations they are too much to send. */
export function apiSchemasPage(document: OpenApiDocument): Html {
  return html`<div class="row head">
      <h1>Schemas</h1>
      <a class="push btn" href="/api/docs">Operations</a>
    </div>
    <p class="lead muted">
      Objects have no other members than these, unless it says <code>additionalProperties</code>. Whole numbers are at most
      2<sup>53</sup> &minus; 1. <code>openapi.json</code> has the patterns of formats, too.
    </p>
    ${schemas(document)}`;
}

function operationRow(view: View, entry: Entry, schemas: Record<string, unknown>): Html {
  const { method, path, operation } = entry;
  const { summary, description, parameters = [], requestBody, responses = {} } = operation;
  return html`<li id="${operationId(method, path)}">
    <details>
      <summary>
        <span class="method mono">${method}</span> <code class="breakable">${path}</code>
        <span class="muted small">${summary}</span>
      </summary>
      <div class="operation">
        ${description && html`<p>${withCode(description)}</p>`}
        ${
          parameters.length > 0 &&
          html`<table class="compact">
            <caption>
              Parameters
            </caption>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">In</th>
                <th scope="col">Type</th>
                <th scope="col">Meaning</th>
              </tr>
            </thead>
            <tbody>
              ${parameters.map(
                (parameter) =>
                  html`<tr>
                    <td>
                      <code>${parameter.name}</code
                      >${parameter.required && html` <span class="muted small">required</span>`}
                    </td>
                    <td>${parameter.in}</td>
                    <td>${typeText(parameter.schema)}</td>
                    <td>${parameter.description}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
        }
        ${
          requestBody &&
          html`<h3>Body</h3>
            ${schemaView(firstSchema(requestBody.content))}`
        }
        <h3>Answers</h3>
        <dl class="facts answers">
          ${Object.entries(responses).map(
            ([status, response]) =>
              html`<dt>${status}</dt>
                <dd>${response.description} ${schemaLink(firstSchema(response.content))}</dd>`,
          )}
        </dl>
        ${twin(view, { curl: curlOf(entry, schemas) })}
      </div>
    </details>
  </li> `;
}

function operationId(method: string, path: string): string {
  return `${method}-${path.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, '')}`.toLowerCase();
}

function curlOf(
  { method, path, operation: { requestBody } }: Entry,
  schemas: Record<string, unknown>,
): string {
  const body = requestBody === undefined ? '' : ` \\\n  ${curlBody(requestBody, schemas)}`;
  return `curl -X ${method} "$FACTORY_URL${path}" -H "Authorization: Bearer $FACTORY_TOKEN"${body}`;
}

function firstSchema(content: Record<string, { schema?: unknown }> | undefined): unknown {
  return content && Object.values(content)[0]?.schema;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function referenceOf(schema: unknown): string | null {
  const reference = isObject(schema) ? schema.$ref : undefined;
  return typeof reference === 'string' ? (reference.split('/').at(-1) ?? null) : null;
}

function schemaLink(schema: unknown): Html | null {
  const name = referenceOf(schema);
  return name ? html`<a class="link" href="${SCHEMAS}#schema-${name}">${name}</a>` : null;
}

function schemaView(schema: unknown): Html | null {
  return (
    schemaLink(schema) ??
    (schema === undefined ? null : html`<pre tabindex="0"><code>${compactJson(schema)}</code></pre>`)
  );
}

/** A schema in one word. */
function typeText(schema: unknown): string {
  const name = referenceOf(schema);
  if (name) return name;
  if (!isObject(schema)) return '';
  if (Array.isArray(schema.enum)) return schema.enum.join(' | ');
  return typeof schema.type === 'string' ? schema.type : '';
}

/** What is short stands on one line: it is easier to read, and the page is lighter. */
function compactJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(
    /([[{])\n\s*([^[\]{}]*?)\n\s*([\]}])/g,
    (all, open: string, inner: string, close: string) => {
      const line = `${open} ${inner.replace(/\n\s*/g, ' ')} ${close}`;
      return line.length <= 90 ? line : all;
    },
  );
}

/** Without what the page says once for all: it stands in nearly every schema. */
function withoutUsual(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutUsual);
  if (!isObject(schema)) return schema;
  const told = Object.entries(schema).filter(
    ([name, value]) =>
      !(name === 'additionalProperties' && value === false) &&
      !(name === 'maximum' && value === Number.MAX_SAFE_INTEGER) &&
      !(name === 'pattern' && 'format' in schema),
  );
  return Object.fromEntries(told.map(([name, value]) => [name, withoutUsual(value)]));
}

function schemas({ components }: OpenApiDocument): Html | null {
  const named = Object.entries(components?.schemas ?? {});
  if (named.length === 0) return null;
  return html`<section class="panel">
    <header><h2>Schemas</h2></header>
    <ul class="operations">
      ${named.map(
        ([name, schema]) =>
          html`<li id="schema-${name}">
            <details>
              <summary><code>${name}</code></summary>
              <pre tabindex="0"><code>${compactJson(withoutUsual(schema))}</code></pre>
            </details>
          </li> `,
      )}
    </ul>
  </section>`;
}
