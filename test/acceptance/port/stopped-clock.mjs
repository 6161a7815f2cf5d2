/** Loaded before the product: its wall clock stands at `STOPPED_AT`, so that two runs write the same times. */
const at = Number(process.env.STOPPED_AT);

globalThis.Date = class extends Date {
  constructor(...given) {
    if (given.length === 0) super(at);
    else super(...given);
  }
  static now() {
    return at;
  }
};
