// What an application in TypeScript may write, checked by TestSoakClientPackage with the strictest rules.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client/core";
import { watchStatus, type Options, type Status, type Verdict, type Watch } from "conforma-status";
import { maintenanceLink } from "conforma-status/apollo";
import { addMaintenanceInterceptor, type Axios } from "conforma-status/axios";
import { notice } from "conforma-status/notice";
import { useMaintenance } from "conforma-status/react";

const say = notice({ seconds: 5, ahead: 600, lang: () => "pt", document });

const options: Options = {
  statusUrl: "https://maintenance.example.org/demo/status.json",
  isAdmin: () => true,
  loginPath: "/enter",
  every: 5000,
  onChange: (status: Status, now) => {
    const left: number = status.expectedUntil ? Date.parse(status.expectedUntil) - now() : 0;
    say.onChange(status, now);
    return left;
  },
  onLeave: async (status, failed, signal) => {
    signal.throwIfAborted();
    return status.mode === "offline" && (await say.onLeave(status, failed, signal));
  },
  onWait: say.onWait,
  window,
};

const watch: Watch = watchStatus(options);
watchStatus({ statusUrl: "/status.json", ...notice() }).stop();

export const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.from([maintenanceLink(watch), new HttpLink({ uri: "/graphql", fetch: watch.fetch })]),
});

// The guide's own fallback, and whatever else does what is needed.
maintenanceLink({ failedQuery: async () => "trouble", leaving: false });

export const intercept = (axios: Axios): (() => void) => addMaintenanceInterceptor(axios, watch);

export const Banner = (): string | null => {
  const { mode, eta, message, countdown, leaving } = useMaintenance(watch, "pt");
  const seconds: number = countdown ?? 0;
  return mode === "admin" && !leaving && eta ? `${message}: ${seconds} s` : null;
};

const request = { closed: false };
watch.hold(request);
void watch.failedQuery(new Event("error"), request);

export const verdict = async (failure: unknown): Promise<string> => {
  const verdict: Verdict = await watch.failedQuery(failure);
  switch (verdict) {
    case "maintenance":
    case "trouble":
    case "connection":
      return watch.status?.messages?.["pt"] ?? verdict;
  }
};

// @ts-expect-error: the status's address has to be given
watchStatus({});
// @ts-expect-error: it is for the client to say
watch.leaving = true;
// @ts-expect-error: no such mode
export const half = watch.status?.mode === "half";
