/** Who runs slots, and what else runs as the service: systemd, or this program by itself. */
export interface Supervisor {
  start(release: string): Promise<void>;
  /** Asks it to end in good order, and waits; one that does not is ended. */
  stop(release: string): Promise<void>;
  /** Null: it runs. */
  ended(release: string): Promise<string | null>;
  running(): Promise<string[]>;
  /** Runs the release's own command line as the service does, to its end; answers its stdout. Errors: what it said. */
  command(release: string, args: readonly string[]): Promise<string>;
  /** The slot that starts with the host, and whose socket gets the live name then. */
  startsWithHost(release: string): Promise<void>;
}
