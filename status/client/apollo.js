import { ApolloLink, Observable } from "@apollo/client/core";

/** See apollo.d.ts. */
export const maintenanceLink = (status) => new ApolloLink((operation, forward) => new Observable((out) => {
  let asked;
  // While the page is being left nobody is to be told of it: an application might sign out.
  const ask = (failure, tell) => asked = status.failedQuery(failure).then(() => status.leaving || tell());
  const subscription = forward(operation).subscribe({
    next: (result) => result.errors?.some((e) => e.extensions?.code === "MAINTENANCE") ?
      ask(result, () => out.next(result)) : out.next(result),
    error: (error) => ask(error, () => out.error(error)),
    complete: () => asked ? asked.then(() => status.leaving || out.complete()) : out.complete(),
  });
  return () => subscription.unsubscribe();
}));
