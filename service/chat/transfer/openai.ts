import { z } from 'zod';
import type { FactoryError } from '../../errors.ts';
import { MOST_PARTS, TITLE } from '../shapes.ts';
import type { Json, MessageInput, Part, ToolCallPart, ToolResultPart } from '../types.ts';

/**
 * Messages in the form of OpenAI's chat completions. It knows no places, times, authors and tombstones, so a session comes
 * back from it with its words alone; what was exported from such a session is the same again.
 */

const text = z.string();
const CONTENT = z.union([
  text,
  z.array(z.looseObject({ type: text, text: text.optional(), file: z.looseObject({}).optional() })),
]);
const CALL = z.looseObject({
  ...{ id: z.string().min(1).max(200), type: z.literal('function').optional() },
  function: z.looseObject({ name: z.string().min(1).max(200), arguments: text }),
});
const MESSAGE = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: CONTENT.nullish(),
  tool_calls: z.array(CALL).nullish(),
  tool_call_id: z.string().min(1).max(200).optional(),
  name: z.string().min(1).max(200).optional(),
});
/** `title` is of no standard, and what tools that keep conversations write beside them. */
export const OPENAI = z.looseObject({ title: TITLE.nullish(), messages: z.array(MESSAGE) });

type Given = z.output<typeof MESSAGE>;

interface OpenAiMessage {
  role: string;
  content?: unknown;
  tool_calls?: unknown;
  tool_call_id?: string;
}

/** One message is several there where it holds results of tools, each of which is a message of its own. */
export function openaiOf({ role, parts }: Pick<MessageInput, 'role' | 'parts'>): OpenAiMessage[] {
  const all: OpenAiMessage[] = [];
  let rest: Exclude<Part, ToolResultPart>[] = [];
  const close = (): void => {
    if (rest.length > 0) all.push(plainOf(role, rest));
    rest = [];
  };
  for (const part of parts) {
    if (part.type !== 'tool-result') rest.push(part);
    else {
      close();
      const { toolCallId: tool_call_id, output = '' } = part;
      const content = typeof output === 'string' ? output : JSON.stringify(output);
      all.push({ role: 'tool', tool_call_id, content });
    }
  }
  close();
  return all;
}

function plainOf(role: string, parts: readonly Exclude<Part, ToolResultPart>[]): OpenAiMessage {
  const calls = parts.filter((part) => part.type === 'tool-call');
  const others = parts.filter((part) => part.type !== 'tool-call').map(contentOf);
  const [only] = others;
  const single = others.length === 1 && only?.type === 'text' ? only.text : others;
  return {
    ...{ role, content: others.length === 0 ? null : single },
    ...(calls.length > 0 ? { tool_calls: calls.map(callOf) } : {}),
  };
}

function contentOf(part: Exclude<Part, ToolResultPart | ToolCallPart>) {
  if (part.type === 'text') return { type: 'text' as const, text: part.text };
  const { attachmentId: file_id, name: filename } = part;
  return { type: 'file' as const, file: { file_id, ...(filename === undefined ? {} : { filename }) } };
}

function callOf({ toolCallId: id, name, arguments: given, input }: ToolCallPart) {
  const value = given ?? input ?? {};
  const args = typeof value === 'string' ? value : JSON.stringify(value);
  return { id, type: 'function', function: { name, arguments: args } };
}

/** Messages of ours. `problem`: what is thrown for what cannot be taken. */
export function* messagesOf(
  given: readonly Given[],
  problem: (why: string) => FactoryError,
): Generator<Pick<MessageInput, 'role' | 'parts'>> {
  /** Names of the tools that were called: results do not repeat them. */
  const names = new Map<string, string>();
  for (const [index, message] of given.entries()) {
    const refuse = (why: string): FactoryError => problem(`messages.${index}: ${why}`);
    for (const { id, function: called } of message.tool_calls ?? []) names.set(id, called.name);
    const parts = partsOf(message, names, refuse);
    if (parts.length > MOST_PARTS) throw refuse(`it has more than ${MOST_PARTS} parts`);
    yield { role: roleOf(message.role), parts };
  }
}

const MOST_DROPPED = 50;

/** Members that say something and have no place here, by their paths. Nothing is left out silently. */
export function droppedOf(given: z.output<typeof OPENAI>): string[] {
  const found = new Set<string>();
  const keep = (path: string, value: object, ...known: string[]): void => {
    for (const [name, content] of Object.entries(value))
      if (!known.includes(name) && saysSomething(content)) found.add(`${path}${name}`.slice(0, 200));
  };
  keep('', given, 'title', 'messages');
  for (const message of given.messages) {
    const isResult = message.tool_call_id !== undefined;
    const taken = isResult ? ['tool_call_id', 'name'] : ['tool_calls'];
    keep('messages[].', message, 'role', 'content', ...taken);
    if (isResult) continue;
    if (Array.isArray(message.content))
      for (const part of message.content) {
        keep('messages[].content[].', part, 'type', part.type);
        if (part.type === 'file') keep('messages[].content[].file.', part.file ?? {}, 'file_id', 'filename');
      }
    for (const call of message.tool_calls ?? []) {
      keep('messages[].tool_calls[].', call, 'id', 'type', 'function');
      keep('messages[].tool_calls[].function.', call.function, 'name', 'arguments');
    }
    if (found.size >= MOST_DROPPED) break;
  }
  return [...found].slice(0, MOST_DROPPED);
}

/** Not what stands for nothing: `null`, an empty list. */
const saysSomething = (value: unknown): boolean =>
  value !== null && value !== undefined && (typeof value !== 'object' || Object.keys(value).length > 0);

const roleOf = (role: Given['role']): MessageInput['role'] =>
  role === 'developer' ? 'system' : role === 'function' ? 'tool' : role;

function partsOf(
  message: Given,
  names: ReadonlyMap<string, string>,
  refuse: (why: string) => FactoryError,
): Part[] {
  const { content, tool_calls: calls, tool_call_id: toolCallId, name } = message;
  if (toolCallId !== undefined) {
    const text = content ?? '';
    const output = typeof text === 'string' ? text : (text as Json);
    return [{ type: 'tool-result', toolCallId, name: name ?? names.get(toolCallId) ?? 'tool', output }];
  }
  const parts: Part[] =
    typeof content === 'string'
      ? [{ type: 'text', text: content }]
      : (content ?? []).map((one) => partOf(one, refuse));
  for (const { id, function: called } of calls ?? [])
    parts.push({
      ...{ type: 'tool-call', toolCallId: id, name: called.name, arguments: argumentsOf(called.arguments) },
    });
  return parts.length > 0 ? parts : [{ type: 'text', text: '' }];
}

const FILE = z.object({ file_id: z.uuid(), filename: z.string().max(500).optional() });

function partOf(
  one: { type: string; text?: string | undefined; file?: unknown },
  refuse: (why: string) => FactoryError,
): Part {
  if (one.type === 'text' && one.text !== undefined) return { type: 'text', text: one.text };
  const file = FILE.safeParse(one.file);
  if (one.type !== 'file' || !file.success) throw refuse(`content of the type ${one.type} cannot be taken`);
  const { file_id: attachmentId, filename } = file.data;
  return { type: 'attachment', attachmentId, ...(filename === undefined ? {} : { name: filename }) };
}

/** As a value where it is written as we would write it, else as the text that it is. */
function argumentsOf(text: string): Json {
  try {
    const value = JSON.parse(text) as Json;
    return typeof value !== 'string' && value !== null && JSON.stringify(value) === text ? value : text;
  } catch {
    return text;
  }
}
