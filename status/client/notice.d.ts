import type { Options } from "./conforma-status.js";

export interface NoticeOptions {
  /** Seconds for which the notice stands before the page is left. Default: 10. */
  seconds?: number;
  /** Seconds before an announced window at which it is warned of. Default: 900. */
  ahead?: number;
  /**
   * A language tag, or a code like pt_BR or en_US.UTF-8, asked for each time. English, French, Portuguese and Spanish are there, English stands for others.
   * Default: the page's, else the browser's.
   */
  lang?: () => string;
  document?: Document;
}

/**
 * Short notices in place of one's own: `watchStatus({ statusUrl, ...notice() })`. They stand in the modal dialog that is open, if any.
 * Before the page is left: the status's message, its ETA, and a countdown, with "Go now" and "Stay for now". Once a query has failed there is
 * nothing to choose. Ahead of an announced window, and where an administrator has to wait (for 15 s): with "Close".
 */
export function notice(options?: NoticeOptions): Required<Pick<Options, "onChange" | "onLeave" | "onWait">>;
