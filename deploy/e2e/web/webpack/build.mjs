// Builds the application into the directory that is named; with "linked" beside it, as for a package that is a link.
import webpack from "webpack";

const [out, linked] = process.argv.slice(2);
webpack({
  mode: "production",
  entry: "./src/main.js",
  output: { path: out, filename: "main.js" },
  resolve: { symlinks: linked !== "linked" },
}, (error, stats) => {
  if (!error && !stats.hasErrors() && !stats.hasWarnings()) return;
  console.error(error ?? stats.toString());
  process.exitCode = 1;
});
