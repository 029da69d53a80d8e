import type { Options } from "./conforma-status.js";

export interface NoticeOptions {
  /** How long the notice stands before the page is left. Default: 10. */
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

/** A short notice in place of one's own: `watchStatus({ statusUrl, ...notice() })`. It stands in the modal dialog that is open, if any. */
export function notice(options?: NoticeOptions): Required<Pick<Options, "onChange" | "onLeave" | "onWait">>;
