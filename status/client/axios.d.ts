import type { Watch } from "./conforma-status.js";

/** What is used of axios, or of an instance that `axios.create` has made. */
export interface Axios {
  interceptors: {
    request: Interceptors;
    response: Interceptors;
  };
}

export interface Interceptors {
  use(onFulfilled: (value: any) => any, onRejected?: (error: any) => any): number;
  eject(id: number): void;
}

/**
 * Has axios ask for the status when a request fails, unless the application cancelled it. It rejects as before, except that
 * nothing comes any more once the page is being left; and the page waits for requests that are under way. For axios 1.
 * Returns what takes it out again.
 */
export function addMaintenanceInterceptor(axios: Axios, status: Pick<Watch, "failedQuery" | "leaving"> & Partial<Pick<Watch, "hold">>): () => void;
