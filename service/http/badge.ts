import type { BadgeText } from '../jobs/public-status.ts';

const FILL: Record<BadgeText['tone'], string> = {
  ok: '#1a7f4b',
  warn: '#8a5a00',
  bad: '#b3261e',
  plain: '#5b6270',
};
const LABEL = 'backup';
/** Of 11 px Verdana, on average; `textLength` makes any font fit. */
const CHARACTER_PX = 6.4;
const PADDING_PX = 8;

/** A picture for a README. Attributes alone: a content security policy without inline styles lets it through. */
export function badgeSvg({ tone, text }: BadgeText): string {
  const [labelWidth, textWidth] = [LABEL, text].map((part) => Math.round(part.length * CHARACTER_PX)) as [
    number,
    number,
  ];
  const left = labelWidth + 2 * PADDING_PX;
  const width = left + textWidth + 2 * PADDING_PX;
  const words = (x: number, length: number, part: string) =>
    `<text x="${x}" y="14" textLength="${length}" lengthAdjust="spacingAndGlyphs">${part}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="20" viewBox="0 0 ${width} 20" role="img" aria-label="${LABEL}: ${text}">`,
    `<title>${LABEL}: ${text}</title>`,
    `<rect width="${width}" height="20" rx="3" fill="#3b4252"/>`,
    `<path d="M${left} 0h${width - left - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-${width - left - 3}z" fill="${FILL[tone]}"/>`,
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">',
    words(PADDING_PX, labelWidth, LABEL),
    words(left + PADDING_PX, textWidth, text),
    '</g></svg>\n',
  ].join('');
}
