// A small application of Conforma's kind: React, Apollo, a form, a WebSocket. Built once with Apollo Client 3 and once
// with 4. What a test wants otherwise is in window.config.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { ApolloProvider, useQuery } from "@apollo/client/react";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { maintenanceLink } from "../../../status/client/apollo.js";
import { watchStatus } from "../../../status/client/conforma-status.js";
import { notice } from "../../../status/client/notice.js";

const { every, veto, token } = window.config;
const events = []; // what the client told the application
const say = notice({ seconds: 0.5, lang: "en" });

const watch = watchStatus({
  ...say,
  statusUrl: window.config.statusUrl,
  every,
  isAdmin: () => Boolean(token),
  onLeave: (doc, failed, signal) => {
    events.push(failed ? "leave at once" : "leave");
    sessionStorage.draft = document.querySelector("textarea").value;
    return veto ? false : say.onLeave(doc, failed, signal);
  },
  onWait: (doc) => {
    events.push("wait");
    say.onWait(doc);
  },
});

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.from([
    maintenanceLink(watch),
    new HttpLink({ uri: "/server/graphql", headers: token && { Authorization: "Bearer " + token } }),
  ]),
});

const hello = gql`query hello { app }`;

const Page = () => {
  const { data } = useQuery(hello);
  const [draft, setDraft] = useState(sessionStorage.draft ?? "");
  useEffect(() => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/websocket/");
    socket.onclose = async (close) => events.push("socket: " + await watch.failedQuery(close));
    window.app.socket = socket;
    return () => {
      socket.onclose = null;
      socket.close();
    };
  }, []);
  return (
    <form>
      <h1>{data ? "Hello from " + data.app : "One moment"}</h1>
      <textarea value={draft} onChange={(e) => setDraft(e.target.value)} />
    </form>
  );
};

// How one operation ended, or "nothing" while it hasn't.
const outcomes = [];
const run = (promise) => {
  const i = outcomes.push("nothing") - 1;
  promise.then((r) => outcomes[i] = r.errors || r.error ? "refused" : "data", () => outcomes[i] = "error");
};

window.app = {
  watch, events, outcomes,
  query: (name = "hello") => run(client.query({ query: gql(`query ${name} { app }`), fetchPolicy: "no-cache" })),
  fetch: (path) => run(watch.fetch(path).then((r) => r.json())),
};

createRoot(document.getElementById("root")).render(
  <StrictMode><ApolloProvider client={client}><Page /></ApolloProvider></StrictMode>,
);
