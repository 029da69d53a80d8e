/** @type {typeof import("./axios.d.ts").addMaintenanceInterceptor} */
export const addMaintenanceInterceptor = (axios, status) => {
  // What holds the page lies in the configuration of its request: another interceptor may copy that.
  const hold = Symbol();
  const { request, response } = axios.interceptors;

  const onRequest = request.use((config) => {
    const held = config[hold] = { closed: false };
    status.hold?.(held);
    return config;
  });

  const onResponse = response.use((answer) => {
    const held = answer.config[hold];
    if (held) held.closed = true;
    return answer;
  }, async (error) => {
    const held = error?.config?.[hold];
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
