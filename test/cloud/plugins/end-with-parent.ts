/** A plugin must not outlive the engine: one that was killed outright tells nobody. Loaded with `--import`. */
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(0);
}, 200).unref();
