// Does what Conforma's front end (1.3.5) does where it fails, and no more: it takes what comes as JSON for data, an error's too;
// its page ends where the list of data views is none; it listens on a WebSocket, and goes to its own place after six closings.
const key = "persistJWT";
const root = document.getElementById("root");
const token = () => localStorage.getItem(key);
const headers = () => token() ? { Authorization: "Bearer " + token() } : {};

const getRequest = async (url) => (await fetch(url, { headers: headers() })).json();
const postRequest = async (url, body) =>
  (await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", ...headers() }, body: JSON.stringify(body) })).json();

const show = (text) => root.textContent = text;

const logout = () => {
  localStorage.clear();
  location.reload();
};

// React takes the whole page away where a component throws.
const rendered = (component) => {
  try {
    component();
  } catch (error) {
    root.textContent = "";
    window.stock.crashed = String(error);
  }
};

const listen = (redirect, every) => {
  let closings = 0;
  const connect = () => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/websocket/server-status");
    socket.onopen = () => {
      closings = 0;
      window.stock.connected = true;
    };
    socket.onclose = ({ code }) => {
      window.stock.connected = false;
      if (code !== 1006) return;
      if (++closings < 7) setTimeout(connect, every); // as it stands, and six times more
      else {
        window.stock.gaveUp = true;
        if (redirect) location.href = redirect;
      }
    };
  };
  connect();
};

const page = async () => {
  const query = await postRequest("/server/graphql?dev=getTemplates", { query: "{ app }" });
  let views = await getRequest("/server/api/data-views");
  if (views.error) views = undefined;
  rendered(() => {
    show(location.pathname + " of " + query.data?.app + ", " + views.filter(() => true).length + " views");
  });
};

window.stock = {
  async login(username) {
    const { JWT } = await postRequest("/server/api/public/login", { username, password: "x" });
    localStorage.setItem(key, JWT);
    history.pushState(null, "", history.state?.state?.from ?? "/");
    await page();
  },
};

const { maintenanceMode } = await getRequest("/server/api/public/get-prefs");
listen(maintenanceMode?.redirect, window.stockEvery ?? 5000);
if (!token() || location.pathname === "/login") {
  history.replaceState(history.state, "", "/login");
  show("login");
} else {
  const { success, JWT } = await getRequest("/server/api/user-info");
  if (!success) logout();
  localStorage.setItem(key, JWT); // also what isn't one
  if (success) await page();
}
