// Has Workbox generate a service worker in the directory that is named, which answers every page with the shell that it caches; with
// "network" beside it, one that leaves pages to the network. With a third word all is in one file, and ours is imported last.
import { appendFileSync } from "node:fs";
import { generateSW } from "workbox-build";

const [dir, pages, imports] = process.argv.slice(2);
await generateSW({
  globDirectory: dir, globPatterns: ["shell.html"], swDest: `${dir}/sw.js`, skipWaiting: true, sourcemap: false, babelPresetEnvTargets: ["chrome >= 110"],
  inlineWorkboxRuntime: Boolean(imports), navigateFallback: pages === "network" ? undefined : "/shell.html",
});
if (imports) appendFileSync(`${dir}/sw.js`, '\nimportScripts("/.conforma-status/sw.js");\n');
