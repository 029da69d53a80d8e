import type { Status, Watch } from "./conforma-status.js";

export interface Maintenance {
  /** Undefined until there is a status, and where pages are rendered ahead. */
  mode: Status["mode"] | undefined;
  /** When the site is expected to open: an ETA, RFC 3339 in UTC. Null where none is announced. It informs: nothing opens by it. */
  eta: string | null;
  /** What is said to visitors, if anything. */
  message: string | null;
  /** Seconds until `eta` by the server's clock, 0 once it is over; null without one. */
  countdown: number | null;
  /** True once the page is being left. */
  leaving: boolean;
}

/**
 * What the watch knows, looked at each second; the component is rendered again when something of it has changed.
 * The message is in that language where it is there, a key of `messages`. For React 18 and newer.
 */
export function useMaintenance(watch: Pick<Watch, "status" | "leaving" | "now">, lang?: string): Maintenance;
