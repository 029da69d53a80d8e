/** @type {typeof import("./axios.d.ts").addMaintenanceInterceptor} */
export const addMaintenanceInterceptor = (axios, status) => {
  /** What holds the page, by the configuration of its request. @type {WeakMap<object, { closed: boolean }>} */
  const requests = new WeakMap();
  const { request, response } = axios.interceptors;

  const onRequest = request.use((config) => {
    const held = { closed: false };
    requests.set(config, held);
    status.hold?.(held);
    return config;
  });

  const onResponse = response.use((answer) => {
    const held = requests.get(answer.config);
    if (held) held.closed = true;
    return answer;
  }, async (error) => {
    const held = error?.config && requests.get(error.config);
    if (held) held.closed = true;
    if (error?.code !== "ERR_CANCELED") await status.failedQuery(error, held); // what the application gave up is no failure
    // While the page is being left nobody is to be told of anything: an application might sign out.
    if (status.leaving) await new Promise(() => {});
    throw error;
  });

  return () => {
    request.eject(onRequest);
    response.eject(onResponse);
  };
};
