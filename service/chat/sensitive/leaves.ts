import type { Json, Part } from '../types.ts';

/** The texts of a part, each looked at for itself, and what else belongs to it: its name, and the texts that it goes on in. */

export interface Leaf {
  text: string;
  /** Index of its part. */
  part: number;
  /** What it is called where it stands, which tells passwords; absent: nothing. */
  name?: string | undefined;
  /** Leaves of the same row can be pieces of one text: texts of a message, and what stands at one place of the elements of a list. */
  row?: string | undefined;
  /** What only machines read: numbers of people are not sought in it. */
  isId?: true;
}

/** Called with each leaf, in order; what it answers takes its place. */
export type See = (leaf: Leaf) => string;

export const TEXTS = 'texts';

export function mapPart(part: Part, index: number, see: See): Part {
  const id = (text: string): string => see({ text, part: index, isId: true });
  const json = (value: Json, of: string): Json => mapJson(value, { see, part: index, row: `${index} ${of}` });
  switch (part.type) {
    case 'text':
      return { ...part, text: see({ text: part.text, part: index, row: TEXTS }) };
    case 'attachment':
      return part.name === undefined ? part : { ...part, name: see({ text: part.name, part: index }) };
    case 'tool-call':
      return {
        ...{ ...part, toolCallId: id(part.toolCallId), name: id(part.name) },
        ...(part.arguments === undefined ? {} : { arguments: json(part.arguments, 'arguments') }),
        ...(part.input === undefined ? {} : { input: json(part.input, 'input') }),
      };
    case 'tool-result':
      return {
        ...{ ...part, toolCallId: id(part.toolCallId), name: id(part.name) },
        ...(part.output === undefined ? {} : { output: json(part.output, 'output') }),
      };
  }
}

interface Place {
  see: See;
  part: number;
  /** Names on the way to it; an asterisk for any element. */
  row: string;
  inList?: boolean;
  name?: string | undefined;
}

/** Depth is bounded by the shape of parts. */
function mapJson(value: Json, place: Place): Json {
  const { see, part, row, inList, name } = place;
  if (typeof value === 'string') return see({ text: value, part, name, row: inList ? row : undefined });
  // Cards and the numbers of people come as numbers, too.
  if (typeof value === 'number' && Math.abs(value) > 1e9) {
    const text = String(value);
    const seen = see({ text, part });
    return seen === text ? value : seen;
  }
  if (Array.isArray(value)) return mapList(value, { ...place, row: `${row}/*`, inList: true });
  if (typeof value !== 'object' || value === null) return value;
  const called = nameOf(value);
  const entries = Object.entries(value).map(([key, one]): [string, Json] => [
    see({ text: key, part }),
    mapJson(one, { ...place, row: `${row}/${key}`, name: VALUE.test(key) ? (called ?? key) : key }),
  ]);
  return Object.fromEntries(entries);
}

/** What follows an option on a command line is its value. */
function mapList(list: readonly Json[], place: Place): Json[] {
  return list.map((one, index) => {
    const before = list[index - 1];
    const option = typeof before === 'string' && OPTION.test(before) ? before : place.name;
    return mapJson(one, { ...place, name: option });
  });
}
const OPTION = /^--?[A-Za-z][\w-]{1,60}$/;

/** `{"name": "DB_PASSWORD", "value": …}`. */
const VALUE = /^value$/i;
function nameOf(value: { [name: string]: Json }): string | undefined {
  const named = Object.entries(value).find(([key, one]) => NAME.test(key) && typeof one === 'string');
  return named?.[1] as string | undefined;
}
const NAME = /^(?:name|key)$/i;
