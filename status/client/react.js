import { useSyncExternalStore } from "react";

/** @param {() => void} look */
const everySecond = (look) => {
  const timer = setInterval(look, 1000);
  return () => clearInterval(timer);
};

/** @type {typeof import("./react.d.ts").useMaintenance} */
export const useMaintenance = (watch, lang = "") => {
  // Rendered again only where one of these has changed. On a server nothing is known.
  const status = useSyncExternalStore(everySecond, () => watch.status, () => undefined);
  const leaving = useSyncExternalStore(everySecond, () => Boolean(watch.leaving), () => false);
  const eta = status?.expectedUntil ?? null;
  const secondsLeft = () => eta === null ? null : Math.max(0, Math.ceil((Date.parse(eta) - watch.now()) / 1000));
  const countdown = useSyncExternalStore(everySecond, secondsLeft, () => null);
  return { mode: status?.mode, eta, message: status?.messages?.[lang] ?? status?.message ?? null, countdown, leaving };
};
