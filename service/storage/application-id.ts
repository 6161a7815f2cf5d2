/** Marks a SQLite file as one of ours: `BFac`. Apart, so that whoever only looks at a file loads nothing else. */
export const APPLICATION_ID = 0x42466163;
