import { ApolloLink, Observable } from "@apollo/client/core";

/** See apollo.d.ts. */
export const maintenanceLink = (status) => new ApolloLink((operation, forward) => new Observable((out) => {
  let asked;
  const pass = async (what, value, asks) => {
    if (asks) asked = status.failedQuery(value);
    if (asked) await asked; // else at once
    // While the page is being left nobody is to be told of anything: an application might sign out.
    if (!status.leaving) out[what](value);
  };
  return forward(operation).subscribe({
    next: (result) => pass("next", result, result.errors?.some((e) => e.extensions?.code === "MAINTENANCE")),
    // What the application itself gave up is no failure.
    error: (error) => pass("error", error, error?.name !== "AbortError"),
    complete: () => pass("complete"),
  });
}));
