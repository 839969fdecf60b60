// Makes a component of a policy's script: node componentize.mjs SCRIPT WIT COMPONENT
import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [sourcePath, witPath, path] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath,
  witPath,
  worldName: "script",
  // Each of these would be an import of WASI, which no policy may have.
  disableFeatures: ["clocks", "fetch-event", "http", "random", "stdio"],
});
await writeFile(path, component);
