// What the client tests share: a folder, servers on free ports, keys.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export function workshop(varve) {
  const folder = mkdtempSync(join(tmpdir(), "varve-client-"));
  const running = [];
  return {
    folder,
    // Starts a server on a free port and resolves to its address once it says so.
    serve(home, options) {
      const child = spawn(varve, ["serve", "--home", join(folder, home), "--port", "0", ...options]);
      running.push(child);
      let errors = "";
      child.stderr.on("data", (text) => (errors += text));
      return new Promise((resolve, reject) => {
        child.on("exit", (code) => reject(new Error(`server ended with ${code}: ${errors}`)));
        createInterface({ input: child.stdout }).on("line", (line) => {
          const at = line.match(/http:\/\/\S+/);
          if (at) resolve({ url: at[0], child });
        });
      });
    },
    // A key is shown once, when it is made.
    key(home, name, role = "write") {
      const made = spawnSync(varve, ["key", "add", name, "--role", role, "--home", join(folder, home)], { encoding: "utf8" });
      assert.equal(made.status, 0, made.stderr);
      return made.stdout.match(/vk-[\w-]+/)[0];
    },
    close() {
      for (const child of running) child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
