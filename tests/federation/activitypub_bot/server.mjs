/**
 * activitypub.bot as a foreign peer: its server as it is, on a loopback address with TLS, and a control API.
 *
 * All of the protocol is activitypub.bot's: WebFinger, signatures, JSON-LD, queues and storage (PostgreSQL).
 * This file starts it, notes what its bot understood and what it sent, and lets the tests tell the bot
 * what to do. See README.md for the environment and the control API.
 */
import http from "node:http";
import https from "node:https";
import { readFileSync } from "node:fs";

import "./library.mjs";

import { Bot, GroupBot, makeApp } from "@evanp/activitypub-bot";
import { SafeFetcher } from "@evanp/activitypub-bot/lib/safefetcher.js";

import { resolveOnly, signatureStyle } from "../fedify/network.mjs";

const MAX_REMEMBERED = 5_000;
const HOST = process.env.APBOT_HOST ?? "robot.test";
resolveOnly(JSON.parse(process.env.APBOT_HOSTS ?? "{}"));

const received = [];
const sent = [];
const requests = [];
const remember = (list, entry) => {
  if (list.length < MAX_REMEMBERED) list.push(entry);
  return entry;
};

const shortType = (type) =>
  [type].flat().map((name) => String(name).replace(/^.*#/, "")).join(",");

class RecordingBot extends Bot {
  /** Every activity that was verified and reached the bot; the server's own handling follows. */
  async handleActivity(activity) {
    const object = activity.object?.first;
    remember(received, {
      type: shortType(activity.type),
      id: activity.id,
      actor: activity.actor?.first?.id,
      objectId: object?.id ?? null,
      objectType: object?.type ? shortType(object.type) : null,
      raw: await activity.export({ useOriginalContext: true }),
    });
    return false;
  }

  async onMention(object) {
    remember(received, { type: "(mention)", objectId: object.id });
  }

  async onLike(object, activity) {
    remember(received, { type: "(like)", objectId: object.id, id: activity.id });
  }

  async onAnnounce(object, activity) {
    remember(received, { type: "(announce)", objectId: object.id, id: activity.id });
  }

  get told() {
    return this._context;
  }
}

// node-fetch is used through this one method, so that all that leaves passes here.
const fetchSafely = SafeFetcher.prototype.fetch;
SafeFetcher.prototype.fetch = async function (url, options = {}) {
  const headers = new Headers(options.headers ?? {});
  const entry = remember(sent, {
    method: options.method ?? "GET", url, signature: signatureStyle(headers), status: null,
  });
  if (options.body) entry.body = JSON.parse(options.body);
  try {
    const response = await fetchSafely.call(this, url, options);
    entry.status = response.status;
    return response;
  } catch (error) {
    entry.error = String(error.cause ?? error);
    throw error;
  }
};

const listen = (server, port) => new Promise((resolve, reject) => {
  server.once("error", reject);
  server.listen(port, "127.0.0.1", () => resolve(server.address().port));
});

const tlsServer = https.createServer({
  cert: readFileSync(process.env.APBOT_CERT), key: readFileSync(process.env.APBOT_KEY),
});
const port = await listen(tlsServer, Number(process.env.APBOT_PORT ?? 0));
const origin = `https://${HOST}:${port}`;
const robot = new RecordingBot("robot", { fullname: "Robot", description: "Waters the plants" });
const club = new GroupBot("club");
const app = await makeApp({
  databaseUrl: process.env.APBOT_DATABASE,
  origin,
  bots: { robot, club },
  logLevel: process.env.APBOT_LOG ?? "warn",
  deliveryWorkerCount: 1,
  distributionWorkerCount: 2,
  fanoutWorkerCount: 1,
  intakeWorkerCount: 1,
  allowPrivateNetworkRequests: true,
});
tlsServer.on("request", (incoming, outgoing) => {
  const headers = new Headers();
  for (const name of ["signature", "signature-input", "authorization"]) {
    if (incoming.headers[name]) headers.set(name, incoming.headers[name]);
  }
  const entry = remember(requests, {
    method: incoming.method, path: incoming.url, signature: signatureStyle(headers), status: null,
  });
  outgoing.on("finish", () => { entry.status = outgoing.statusCode; });
  app(incoming, outgoing);
});

const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";
const object = (uri) => robot.told.getObject(uri);
const idOf = (thing) => ({ id: thing.id });
const collected = async (iterator) => {
  const ids = [];
  for await (const item of iterator) ids.push(item.id);
  return ids;
};

const controls = {
  "GET /health": async () => ({ actor: robot.told.botActorId, origin }),
  "GET /log": async () => received,
  "GET /sent": async () => sent,
  "GET /requests": async () => requests,
  "GET /followers": async () => await collected(robot.told.followers()),
  "GET /following": async () => await collected(robot.told.following()),
  "POST /lookup": async ({ handle, uri }) => {
    const id = uri ?? await robot.told.toActorId(handle);
    const found = await object(id);
    return { id: found.id, type: shortType(found.type), name: found.name?.get() ?? null };
  },
  "POST /follow": async ({ uri }) => idOf(await robot.told.followActor(await object(uri))),
  "POST /unfollow": async ({ uri }) => idOf(await robot.told.unfollowActor(await object(uri))),
  "POST /note": async ({ content, to = [] }) =>
    idOf(await robot.told.sendNote(content, { to: [PUBLIC, ...to], cc: [robot.told.getFollowersId()] })),
  "POST /reply": async ({ to, content }) =>
    idOf(await robot.told.sendReply(content, await object(to))),
  "POST /like": async ({ uri }) => idOf(await robot.told.likeObject(await object(uri))),
  "POST /unlike": async ({ uri }) => idOf(await robot.told.unlikeObject(await object(uri))),
  "POST /announce": async ({ uri }) => idOf(await robot.told.announceObject(await object(uri))),
  "POST /unannounce": async ({ uri }) => idOf(await robot.told.unannounceObject(await object(uri))),
  // What the group does when it is mentioned; its own mentions know no port, so that none can be written here.
  "POST /share-in-club": async ({ uri }) => idOf(await club._context.announceObject(await object(uri))),
  "POST /update": async ({ uri, content }) =>
    idOf(await robot.told.updateNote(await object(uri), content)),
  "POST /delete": async ({ uri }) => idOf(await robot.told.deleteNote(await object(uri))),
};

async function control(incoming, outgoing) {
  const answer = (status, value) => {
    outgoing.writeHead(status, { "content-type": "application/json" });
    outgoing.end(JSON.stringify(value));
  };
  try {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const does = controls[`${incoming.method} ${incoming.url}`];
    if (!does) return answer(404, { error: `no ${incoming.method} ${incoming.url}` });
    answer(200, await does(chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : {}));
  } catch (error) {
    answer(502, { error: String(error.stack ?? error) });
  }
}

const controlPort = await listen(http.createServer(control), 0);

// The parent holds the other end of stdin: when it goes, whichever way, the server goes too.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
console.log(JSON.stringify({ ready: true, origin, control: `http://127.0.0.1:${controlPort}` }));
