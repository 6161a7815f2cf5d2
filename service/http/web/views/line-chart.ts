import { html, type Html } from '../html.ts';

export interface Series {
  label: string;
  /** As its line is drawn, beside its colour. */
  stroke: 'solid' | 'dashed';
  /** Null: nothing was measured then. */
  values: (number | null)[];
}

export interface LineChart {
  id: string;
  title: string;
  /** What the lines say, for those who do not see them. */
  description: string;
  unit: string;
  /** Below the first and the last value. */
  ends: [string, string];
  series: Series[];
}

const WIDTH = 720;
const HEIGHT = 100;

/** Lines over equal steps. The picture stretches with its place; words stand beside it, so they keep their size. */
export function lineChart({ id, title, description, unit, ends, series }: LineChart): Html {
  const top = ceiling(
    Math.max(...series.flatMap(({ values }) => values.filter((value) => value !== null)), 0),
  );
  return html`<figure class="chart">
    <div class="scale" aria-hidden="true"><span>${top} ${unit}</span><span>${top / 2} ${unit}</span><span>0</span></div>
    <svg
      viewBox="0 0 ${WIDTH} ${HEIGHT}"
      preserveAspectRatio="none"
      role="img"
      aria-labelledby="${id}-title ${id}-desc"
    >
      <title id="${id}-title">${title}</title>
      <desc id="${id}-desc">${description}</desc>
      <path class="grid" d="M0 0.5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}" />
      ${series.map(
        ({ stroke, values }) =>
          html`<path class="line ${stroke}" d="${pathOf(values, top)}" /><path
              class="dots ${stroke}"
              d="${dotsOf(values, top)}"
            /> `,
      )}
    </svg>
    <div class="ends" aria-hidden="true"><span>${ends[0]}</span><span>${ends[1]}</span></div>
    <figcaption>
      ${series.map(
        ({ label, stroke }) =>
          html`<span
            ><svg viewBox="0 0 24 8" class="key" aria-hidden="true">
              <path class="line ${stroke}" d="M0 4H24" /></svg
            >${label}</span
          > `,
      )}
    </figcaption>
  </figure>`;
}

/** The next number above that people divide in two at sight: 1, 2, 4, 6, 8, 10, 20, … */
export function ceiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 4, 6, 8, 10].find((one) => one * power >= value) ?? 10;
  return Number((step * power).toPrecision(2));
}

/** A value that is missing breaks the line. */
export function pathOf(values: readonly (number | null)[], top: number): string {
  let pen = 'M';
  const parts: string[] = [];
  for (const [index, value] of values.entries()) {
    if (value === null) {
      pen = 'M';
      continue;
    }
    parts.push(`${pen}${point(index, values.length, value, top)}`);
    pen = 'L';
  }
  return parts.join('');
}

/** Lines without length: with round ends they are dots, whatever the picture is stretched to. */
function dotsOf(values: readonly (number | null)[], top: number): string {
  return values
    .map((value, index) => (value === null ? '' : `M${point(index, values.length, value, top)}h0`))
    .join('');
}

function point(index: number, count: number, value: number, top: number): string {
  const x = count === 1 ? WIDTH / 2 : (index / (count - 1)) * WIDTH;
  return `${Number(x.toFixed(1))} ${Number((HEIGHT - (value / top) * HEIGHT).toFixed(1))}`;
}
