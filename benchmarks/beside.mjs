/**
 * activitypub.bot as it is, for `python -m benchmarks --beside`: plain HTTP on a loopback port, its own numbers of
 * workers, and a robot that writes a note for each line on standard input (`{"note": text}`; the answer on standard error
 * is `{"id": id}`, since its log has the standard output).
 *
 * All names under `.test` are this machine. Addresses in X-Forwarded-For are believed, as behind a proxy, since its
 * limits count by address and one machine plays everybody.
 */
import dns from "node:dns";
import dnsPromises from "node:dns/promises";
import http from "node:http";
import { createInterface } from "node:readline";

import "../tests/federation/activitypub_bot/library.mjs";
import { Bot, makeApp } from "../tests/federation/activitypub_bot/node_modules/@evanp/activitypub-bot/lib/index.js";

dns.lookup = (hostname, options, callback) => {
  if (typeof options === "function") [options, callback] = [{}, options];
  const found = { address: "127.0.0.1", family: 4 };
  if (options?.all) process.nextTick(callback, null, [found]);
  else process.nextTick(callback, null, found.address, found.family);
};
dnsPromises.lookup = async () => ({ address: "127.0.0.1", family: 4 });

class Robot extends Bot {
  get told() {
    return this._context;
  }
}

const robot = new Robot("robot", { fullname: "Robot", description: "Waters the plants" });
const app = await makeApp({
  databaseUrl: process.env.BESIDE_DATABASE,
  origin: process.env.BESIDE_ORIGIN,
  bots: { robot },
  logLevel: "error",
  allowPrivateNetworkRequests: true,
  trustProxy: 1,
});
const server = http.createServer(app);
await new Promise((resolve) => server.listen(Number(process.env.BESIDE_PORT), "127.0.0.1", resolve));
console.error(JSON.stringify({ ready: true }));

const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";
const lines = createInterface({ input: process.stdin });
for await (const line of lines) {
  const { note } = JSON.parse(line);
  const made = await robot.told.sendNote(note, { to: [PUBLIC], cc: [robot.told.getFollowersId()] });
  console.error(JSON.stringify({ id: made.id }));
}
process.exit(0);
