/** Places from one to another, both of them among it. */
export interface Gap {
  from: number;
  to: number;
}

/**
 * Places after `after`, up to `end`, that none of these has. `seq` is given without a gap, so what was there is gone: deleted,
 * or in the bin.
 */
export function gapsOf(messages: readonly { seq: number }[], after: number, end: number): Gap[] {
  const gaps: Gap[] = [];
  let next = after + 1;
  const until = (seq: number): void => {
    if (seq > next) gaps.push({ from: next, to: seq - 1 });
    next = seq + 1;
  };
  for (const { seq } of messages) until(seq);
  until(end + 1);
  return gaps;
}

export const goneText = ({ from, to }: Gap): string =>
  from === to ? `Message ${from} was deleted` : `Messages ${from} to ${to} were deleted`;
