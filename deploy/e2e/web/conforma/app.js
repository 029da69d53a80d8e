// Makes the calls of Conforma's front end in the order in which it makes them, with what it does when they fail, and knows nothing
// of conforma-status.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client/core";

const key = "persistJWT";
const calls = []; // what was done, for the test
const token = () => localStorage.getItem(key);

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.from([
    new ApolloLink((operation, forward) => {
      operation.setContext({ headers: token() ? { authorization: "Bearer " + token() } : {} });
      return forward(operation);
    }),
    new HttpLink({ uri: ({ operationName }) => "/server/graphql?dev=" + operationName }),
  ]),
});

const query = (name) => client.query({ query: gql("query " + name + " { app }"), fetchPolicy: "network-only" });

// As in its helpers: the JSON is read before the status is looked at.
const getRequest = async (url) => {
  const response = await fetch(url, { headers: token() ? { Authorization: "Bearer " + token() } : {} });
  return response.json();
};
const postRequest = async (url, body) => {
  const response = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return response.json();
};

const logout = () => {
  calls.push("logout");
  localStorage.clear();
  location.reload();
};

const show = (text) => document.getElementById("root").textContent = text;

const connect = () => new Promise((done) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/websocket/server");
  socket.onopen = () => socket.send("ping");
  socket.onmessage = ({ data }) => done("socket says " + data);
  socket.onerror = () => done("no socket");
});

// What every page does with a token.
const enter = async () => {
  try {
    const { data } = await query("getApplications");
    calls.push("graphql " + data.app);
  } catch (error) {
    calls.push("graphql " + (error.networkError?.statusCode ?? error));
  }
  try {
    const { user } = await getRequest("/server/api/user-info");
    calls.push("user-info " + user.username);
  } catch {
    return logout();
  }
  calls.push(await connect());
  await route();
};

const route = async () => {
  if (location.pathname.startsWith("/application/")) {
    const { page } = await import("./page.js"); // a chunk of its own
    await query("getApplication");
    show(page(location.pathname));
    calls.push("route " + location.pathname);
  } else {
    show("home");
    calls.push("route /");
  }
};

window.conforma = {
  calls,
  connect,
  // A mutation's answer, or the status with which it failed.
  mutate: (name) => client.mutate({ mutation: gql("mutation " + name + " { app }") }).then(({ data }) => data.app, (error) => String(error.networkError?.statusCode ?? error)),
  async login(username) {
    const { JWT } = await postRequest("/server/api/public/login", { username, password: "x" });
    localStorage.setItem(key, JWT);
    calls.push("login " + username);
    history.pushState(null, "", history.state?.state?.from ?? "/"); // as its router keeps where somebody came from
    await enter();
  },
  go: (path) => {
    history.pushState(null, "", path);
    return route();
  },
};

const start = async () => {
  await getRequest("/server/api/public/get-prefs");
  await getRequest("/server/api/public/language/en");
  calls.push("preferences");
  if (token()) return enter();
  if (location.pathname !== "/login") history.replaceState(null, "", "/login");
  show("login");
  calls.push("login page");
};
start();
