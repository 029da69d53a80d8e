import type { ApolloLink } from "@apollo/client/core";
import type { Watch } from "./conforma-status.js";

/**
 * A link for Apollo Client 3 and 4, to stand first, that asks for the status when an operation fails, unless
 * the application gave it up (AbortError). It hands results and errors on, except that nothing comes any more once the page
 * is being left; and the page waits for queries and mutations that are under way. HttpLink may have a `fetch` of its own or the watch's.
 */
export function maintenanceLink(status: Pick<Watch, "failedQuery" | "leaving"> & Partial<Pick<Watch, "hold">>): ApolloLink;
