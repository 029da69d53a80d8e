import { ApolloLink, Observable } from "@apollo/client/core";

/** @type {typeof import("./apollo.d.ts").maintenanceLink} */
export const maintenanceLink = (status) => new ApolloLink((operation, forward) => new Observable((out) => {
  /** The verdict on a failure, which what comes after it waits for as well. @type {Promise<unknown> | undefined} */
  let asked;

  /** @param {"next" | "error" | "complete"} event @param {any} [value] @param {boolean} [isFailure] */
  const pass = async (event, value, isFailure) => {
    if (isFailure) asked = status.failedQuery(value, out);
    await asked;
    // While the page is being left nobody is to be told of anything: an application might sign out.
    if (!status.leaving) out[event](value);
  };

  status.hold?.(out, operation);
  return forward(operation).subscribe({
    next: (result) => pass("next", result, /MAINTENANCE/.test(JSON.stringify(result.errors))), // among the codes
    error: (error) => pass("error", error, !/AbortError/.test(error)), // what the application gave up is no failure
    complete: () => pass("complete"),
  });
}));
