/** The status document, as it is published: see status.schema.json beside it. */
export interface Status {
  version: 1;
  site: string;
  mode: "online" | "offline" | "admin";
  /** Only grows. */
  seq: number;
  /** Only where several hosts follow one switch: for the hosts. */
  order?: number;
  wanted?: "online" | "admin" | "offline";
  signature?: string;
  /** Times are RFC 3339 in UTC. */
  since: string;
  expectedUntil: string | null;
  message: string | null;
  messages: Record<string, string> | null;
  /** The next announced maintenance window. */
  next: { from: string; until: string | null } | null;
  appUrl: string;
  pageUrl: string;
  /** Whether the site has a service worker, which the client has the browser keep. */
  serviceWorker?: boolean;
  updatedAt: string;
}

/**
 * Why a query failed. "maintenance": the page is being left, unless `onLeave` forbade it. "trouble": it is the
 * server's fault, or the application's; say so and try again. "connection": neither the server nor the status
 * can be reached.
 */
export type Verdict = "maintenance" | "trouble" | "connection";

export interface Options {
  /** Absolute URL of status.json on the maintenance site. */
  statusUrl: string;
  /** Whether the user may stay in admin mode; asked each time. It must not throw. Default: nobody may. Say yes also
   * where `document.cookie` has `conforma-pass-SITE`: that browser was let in by a pass (`conforma-status pass`). */
  isAdmin?: () => boolean;
  /** Path of the login page, where everybody may stay in admin mode. Default: "/login". */
  loginPath?: string;
  /** Milliseconds within which each visible tab asks, or hears from another tab. Default: 15000. */
  every?: number;
  /**
   * Called with each status that differs from the one before, the first one included. `now` gives the time by the
   * server's clock: see Watch.
   */
  onChange?: (status: Status, now: () => number) => void;
  /**
   * Called before the page is left, to save drafts or to show something. `failed` tells that a query has failed
   * already, and nothing is to be waited for; else it is the poll that brought the news. The page is left when the
   * result, or what its promise resolves to, is there, and the page's own requests have been answered (10 s at most);
   * `false` keeps it, until a query fails or the site closes anew. An error doesn't keep it. `signal` aborts when
   * whatever is shown is to go: the page is left, or the site is open again. What it sends itself, a draft, is sent with
   * a plain `fetch`: where it failed, the watch's would wait for the end of this call.
   */
  onLeave?: (status: Status, failed: boolean | undefined, signal: AbortSignal) => unknown;
  /**
   * Called in admin mode when a query failed of somebody who stays, and not by what only the application answers (4xx,
   * other 5xx than 503): the site may still be closing.
   */
  onWait?: (status: Status) => void;
  /** What is used of the browser. Default: `globalThis`. */
  window?: Surroundings;
}

/** What the client uses of the browser, for tests and for time of one's own. */
export interface Surroundings {
  fetch: typeof fetch;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: any): void;
  document: { readonly hidden: boolean };
  location: { readonly href: string; readonly pathname: string; replace(url: string): void };
  Date: { now(): number; parse(text: string): number };
  Math: { random(): number };
  /** Keeps the newest `seq` over a reload, under the status's URL. Reading the property may throw. */
  sessionStorage?: { [key: string]: any };
  BroadcastChannel: new (name: string) => {
    onmessage: ((event: MessageEvent) => any) | null;
    postMessage(message: any): void;
    close(): void;
  };
  /** For "visibilitychange" and "online". */
  addEventListener(type: string, listener: () => void): void;
}

/** What the page waits for before it is left: `closed` is true once it is over. */
export interface HeldRequest {
  readonly closed?: boolean;
}

/** What is used of an operation of Apollo Client. */
export interface Operation {
  readonly query: { readonly definitions: readonly object[] };
  setContext(next: (context: any) => object): void;
}

export interface Watch {
  /**
   * Asks for the status afresh, once for all failures that come before it is answered. Takes whatever failed: a Response, an error of
   * `fetch`, Apollo Client or axios, a CloseEvent, a GraphQL result. Where that was held, `request` is what was given to `hold`.
   * Never rejects. While `leaving`, do nothing about the verdict.
   */
  failedQuery(failure: unknown, request?: HeldRequest): Promise<Verdict>;
  /**
   * `fetch` that asks for the status after a network error, a 404, a 5xx, an opaque redirect, or HTML. Resolves and rejects as
   * `fetch` does, except that it never does either once the page is being left. The page waits for it before it is left.
   */
  fetch: typeof fetch;
  /**
   * Has the page wait for a request that goes by another way than `fetch`, the link or the interceptor: it isn't left before
   * `request.closed` is true, or `failedQuery` was given the request; 10 s at most. Of Apollo Client's `operation` a
   * subscription isn't waited for: it has no end; and the watch's `fetch`, where that is HttpLink's, leaves it to the link.
   */
  hold(request: HeldRequest, operation?: Operation): void;
  /** The newest status, once there is one. */
  readonly status?: Status;
  /** True once the page is being left; false again half a minute later, if the visitor was asked by `beforeunload` and stayed. */
  readonly leaving?: boolean;
  /** Milliseconds since 1970 by the server's clock, where its Date header can be read, else by this machine's. */
  now(): number;
  /** Ends the watch: the page isn't left any more, and a verdict goes by the failure alone, never "maintenance". */
  stop(): void;
}

/**
 * Watches the status, and leaves for the maintenance page when the site closes. Outside a browser, where pages are rendered
 * ahead, nothing is watched: there is no status, and `failedQuery` goes by the failure alone.
 */
export function watchStatus(options: Options): Watch;
