// A fresh application in TypeScript, as Vite's own template has one, with Apollo Client: it shows what the hook says, and saves
// by a mutation and by a call at once.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { ApolloProvider, useMutation } from "@apollo/client/react";
import { maintenanceLink } from "conforma-status/apollo";
import { useMaintenance } from "conforma-status/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { maintenance } from "./maintenance";

const token = localStorage.getItem("persistJWT");
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.from([maintenanceLink(maintenance), new HttpLink({ uri: "/server/graphql", headers, fetch: maintenance.fetch })]),
});

const outcomes: string[] = [];
const run = (promise: Promise<unknown>) => {
  const i = outcomes.push("nothing") - 1;
  promise.then(() => { outcomes[i] = "saved"; }, () => { outcomes[i] = "failed"; });
};

const Page = () => {
  const { mode, eta, countdown } = useMaintenance(maintenance);
  const [save] = useMutation<{ app: string }>(gql`mutation slow { app }`);
  window.app = {
    outcomes,
    mode,
    save() {
      run(save());
      run(maintenance.fetch("/server/api", { method: "POST", headers, body: '{"operationName":"slow"}' }));
    },
  };
  return <p>{mode ?? "unknown"} {eta && `until ${new Date(eta).toISOString()}, in ${countdown} s`}</p>;
};

createRoot(document.getElementById("root")!).render(
  <StrictMode><ApolloProvider client={client}><Page /></ApolloProvider></StrictMode>,
);
