// A small application of Conforma's kind: React, Apollo, a form, a WebSocket, and a session that ends when the
// server won't say who the user is. Built once with Apollo Client 3 and once with 4. What a test wants otherwise is in
// window.config.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { ApolloProvider, useQuery } from "@apollo/client/react";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { maintenanceLink } from "../../../status/client/apollo.js";
import { watchStatus } from "../../../status/client/conforma-status.js";
import { notice } from "../../../status/client/notice.js";
import { useMaintenance } from "../../../status/client/react.js";

const { every, veto, isAdmin } = window.config;
const say = notice({ seconds: 0.3, lang: () => "en" });

// What the client told the application, kept by the test where it can, for the page may be gone when it asks.
const events = [];
const tell = (what) => {
  events.push(what);
  window.report?.(what);
};

const watch = watchStatus({
  ...say,
  statusUrl: window.config.statusUrl,
  every,
  isAdmin: () => isAdmin,
  onLeave: (doc, failed, signal) => {
    sessionStorage.draft = document.querySelector("textarea").value;
    if (veto) {
      tell("veto");
      return false;
    }
    const done = say.onLeave(doc, failed, signal);
    tell(document.querySelector("[role=alert]") ? "leave after a notice" : "leave at once");
    return done;
  },
  onWait: (doc) => {
    tell("wait");
    say.onWait(doc);
  },
});

const authorization = () => localStorage.persistJWT && { Authorization: "Bearer " + localStorage.persistJWT };

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.from([
    maintenanceLink(watch),
    new HttpLink({ uri: "/server/graphql", headers: authorization() }),
  ]),
});

const hello = gql`query hello { app }`;

const Page = () => {
  const { data } = useQuery(hello);
  const [draft, setDraft] = useState(sessionStorage.draft ?? "");
  const maintenance = window.app.maintenance = useMaintenance(watch);
  useEffect(() => {
    if (maintenance.leaving && window.tellsLeaving) tell("leaving");
  }, [maintenance.leaving]);
  useEffect(() => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/websocket/");
    socket.onclose = async (close) => tell("socket: " + await watch.failedQuery(close));
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
  return promise.then((r) => outcomes[i] = r.errors || r.error ? "refused" : "data", () => outcomes[i] = "error");
};

const json = (path, options) => watch.fetch(path, options).then((r) => r.json());

window.app = {
  watch, events, outcomes,
  query: (name = "hello") => run(client.query({ query: gql(`query ${name} { app }`), fetchPolicy: "no-cache" })),
  fetch: (path, options) => run(json(path, options)),
  // As Conforma does: whatever goes wrong ends the session.
  userInfo: () => json("/server/api/user-info", { headers: authorization() }).catch(() => {
    localStorage.clear();
    location.reload();
  }),
};

createRoot(document.getElementById("root")).render(
  <StrictMode><ApolloProvider client={client}><Page /></ApolloProvider></StrictMode>,
);
