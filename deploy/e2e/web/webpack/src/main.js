// A fresh application in JavaScript, checked by TypeScript: it saves by axios and by a call at once.
import axios from "axios";
import { watchStatus } from "conforma-status";
import { addMaintenanceInterceptor } from "conforma-status/axios";
import { notice } from "conforma-status/notice";

const { statusUrl, every, isAdmin } = /** @type {any} */ (window).config;
const maintenance = watchStatus({ statusUrl, every, isAdmin: () => isAdmin, ...notice({ seconds: 0.3 }) });

const headers = { Authorization: `Bearer ${localStorage.getItem("persistJWT")}` };
const api = axios.create({ baseURL: "/server", headers });
addMaintenanceInterceptor(api, maintenance);

/** @type {string[]} */
const outcomes = [];
/** @param {Promise<unknown>} promise */
const run = (promise) => {
  const i = outcomes.push("nothing") - 1;
  promise.then(() => { outcomes[i] = "saved"; }, () => { outcomes[i] = "failed"; });
};

/** @type {any} */ (window).app = {
  outcomes,
  get mode() { return maintenance.status?.mode; },
  save() {
    run(api.post("/api", { operationName: "slow" }));
    run(maintenance.fetch("/server/api", { method: "POST", headers, body: '{"operationName":"slow"}' }));
  },
};
