import { watchStatus } from "conforma-status";
import { notice } from "conforma-status/notice";

declare global {
  interface Window {
    config: { statusUrl: string; every: number; isAdmin: boolean };
    app: { save: () => void; outcomes: string[]; mode: string | undefined };
  }
}

const { statusUrl, every, isAdmin } = window.config;
export const maintenance = watchStatus({ statusUrl, every, isAdmin: () => isAdmin, ...notice({ seconds: 0.3 }) });
