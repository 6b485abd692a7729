/**
 * A bot on Fedify: the peer that shares no line of code with the server under test.
 *
 * It federates over TLS at FEDIFY_HOST:FEDIFY_PORT and is driven through a plain JSON API on another
 * loopback port. Signatures are verified as Fedify does by default. See README.md.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync, writeFileSync, existsSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { Temporal } from "@js-temporal/polyfill";
import {
  createFederation, exportJwk, generateCryptoKeyPair, importJwk, MemoryKvStore,
} from "@fedify/fedify";
import {
  Accept, Activity, Announce, Create, Delete, Endpoints, Follow, Image, isActor, Like, Mention, Note,
  Person, PUBLIC_COLLECTION, Tombstone, Undo, Update,
} from "@fedify/fedify/vocab";
import { crawl } from "./crawl.mjs";
import { rememberRequests, resolveOnly, signatureStyle } from "./network.mjs";

const MAX_BODY_BYTES = 1024 * 1024;
const NAME = process.env.FEDIFY_NAME ?? "bot";
const HOST = process.env.FEDIFY_HOST ?? "bot.test";
const KEYS_FILE = process.env.FEDIFY_KEYS;
// Answers nothing but the actor to a GET without a valid signature ("authorized fetch").
const AUTHORIZED_FETCH = process.env.FEDIFY_AUTHORIZED_FETCH === "1";
const FIRST_KNOCK = process.env.FEDIFY_FIRST_KNOCK ?? "rfc9421";

resolveOnly(JSON.parse(process.env.FEDIFY_HOSTS ?? "{}"));
const sent = rememberRequests();

const inboundRequest = new AsyncLocalStorage();
const received = [];
const requests = [];
const followers = new Map(); // actor id -> Actor
const published = new Map(); // path id -> { object, recipients }, in the order of publication
const tombstones = new Map(); // path of a deleted object -> Tombstone
const pending = new Set(); // resolutions of received objects that still run

// ---------------------------------------------------------------- keys

async function loadKeyPairs() {
  if (KEYS_FILE && existsSync(KEYS_FILE)) {
    const stored = JSON.parse(readFileSync(KEYS_FILE, "utf8"));
    return await Promise.all(stored.map(async (pair) => ({
      privateKey: await importJwk(pair.privateKey, "private"),
      publicKey: await importJwk(pair.publicKey, "public"),
    })));
  }
  const pairs = [
    await generateCryptoKeyPair("RSASSA-PKCS1-v1_5"), await generateCryptoKeyPair("Ed25519"),
  ];
  if (KEYS_FILE) {
    const stored = await Promise.all(pairs.map(async (pair) => ({
      privateKey: await exportJwk(pair.privateKey), publicKey: await exportJwk(pair.publicKey),
    })));
    writeFileSync(KEYS_FILE, JSON.stringify(stored), { mode: 0o600 });
  }
  return pairs;
}

const keyPairs = await loadKeyPairs();

// ---------------------------------------------------------------- what the bot serves

function createBot(origin) {
  const federation = createFederation({
    kv: new MemoryKvStore(),
    origin,
    allowPrivateAddress: true, // resolveOnly() leaves nothing but loopback to reach
    userAgent: { software: "fedcomm-test-peer", url: origin },
    inboxChallengePolicy: { enabled: true },
    firstKnock: FIRST_KNOCK,
  });

  federation.setNodeInfoDispatcher("/nodeinfo/2.1", () => ({
    software: { name: "fedcomm-test-peer", version: "1.0.0" },
    protocols: ["activitypub"],
    usage: { users: { total: 1 }, localPosts: published.size, localComments: 0 },
  }));

  federation
    .setActorDispatcher("/users/{identifier}", async (context, identifier) => {
      if (identifier !== NAME) return null;
      const keys = await context.getActorKeyPairs(identifier);
      return new Person({
        id: context.getActorUri(identifier),
        preferredUsername: identifier,
        name: "An independent peer",
        summary: "<p>Reads what others write with another implementation.</p>",
        icon: new Image({ url: new URL("/icon.png", origin), mediaType: "image/png" }),
        url: new URL(`/@${identifier}`, origin),
        inbox: context.getInboxUri(identifier),
        outbox: context.getOutboxUri(identifier),
        followers: context.getFollowersUri(identifier),
        endpoints: new Endpoints({ sharedInbox: context.getInboxUri() }),
        publicKey: keys[0].cryptographicKey,
        assertionMethods: keys.map((pair) => pair.multikey),
      });
    })
    .setKeyPairsDispatcher((_context, identifier) => (identifier === NAME ? keyPairs : []));

  const signedOnly = async (context) =>
    !AUTHORIZED_FETCH || (await context.getSignedKeyOwner()) !== null;
  const objectOf = (type) => (_context, { id }) => {
    const { object } = published.get(id) ?? {};
    return object instanceof type ? object : null;
  };
  for (const type of [Note, Accept, Announce, Create, Delete, Follow, Like, Undo, Update]) {
    const path = `/${type.name.toLowerCase()}/{id}`;
    federation.setObjectDispatcher(type, path, objectOf(type)).authorize(signedOnly);
  }
  federation
    .setFollowersDispatcher("/users/{identifier}/followers", () => ({
      items: [...followers.values()],
    }))
    .setCounter(() => followers.size);
  federation
    .setOutboxDispatcher("/users/{identifier}/outbox", () => ({
      items: [...published.values()]
        .map(({ object }) => object)
        .filter((object) => object instanceof Create || object instanceof Announce)
        .reverse(),
    }))
    .setCounter(() => published.size);

  federation
    .setInboxListeners("/users/{identifier}/inbox", "/inbox")
    .setSharedKeyDispatcher(() => ({ identifier: NAME }))
    .on(Activity, onActivity)
    .onError((_context, error) => {
      const record = inboundRequest.getStore();
      if (record) record.refusal = String(error.stack ?? error);
    })
    .onUnverifiedActivity((_context, _activity, reason) => {
      const record = inboundRequest.getStore();
      if (record) record.refusal = describeReason(reason);
    });
  return federation;
}

const describeReason = (reason) => JSON.stringify(reason, (_key, value) =>
  value instanceof Error ? String(value) : value instanceof URL ? value.href : value);

/** Remembers every verified activity; accepts whoever follows. */
async function onActivity(context, activity) {
  const record = inboundRequest.getStore();
  const raw = JSON.parse(record.body);
  const object = Array.isArray(raw.object) ? raw.object[0] : raw.object;
  const embedded = object !== null && typeof object === "object";
  const entry = {
    seq: received.length,
    type: activity.constructor.name,
    id: activity.id?.href ?? null,
    actor: activity.actorId?.href ?? null,
    objectForm: embedded ? "embedded" : "id",
    objectType: embedded ? object.type ?? null : null,
    objectId: activity.objectId?.href ?? null,
    inbox: context.recipient ?? "shared",
    signature: record.signature,
    raw,
    receivedAt: new Date().toISOString(),
  };
  received.push(entry);
  if (activity instanceof Follow && activity.objectId?.href === context.getActorUri(NAME).href) {
    await acceptFollow(context, activity);
  } else if (activity instanceof Undo && isFollowOfBot(raw.object, context)) {
    followers.delete(activity.actorId.href);
  } else if (activity instanceof Announce || activity instanceof Create) {
    const resolution = resolveObject(context, activity, entry);
    pending.add(resolution);
    resolution.finally(() => pending.delete(resolution));
  }
}

const isFollowOfBot = (object, context) =>
  object?.type === "Follow" && [object.object?.id ?? object.object].flat()[0]
    === context.getActorUri(NAME).href;

async function acceptFollow(context, follow) {
  const loaders = await signedLoaders(context);
  const follower = await follow.getActor(loaders);
  if (!isActor(follower)) throw new TypeError(`${follow.actorId} is not an actor`);
  followers.set(follower.id.href, follower);
  await publish(context, Accept, { object: follow }, [follower]);
}

/** Reads the object as Fedify does: an embedded one of another origin is fetched from its own. */
async function resolveObject(context, activity, entry) {
  try {
    const object = await activity.getObject(await signedLoaders(context));
    entry.resolved = object === null ? null : {
      type: object.constructor.name,
      id: object.id?.href ?? null,
      content: object.content?.toString() ?? null,
      innerId: object instanceof Activity ? object.objectId?.href ?? null : null,
    };
  } catch (error) {
    entry.resolved = { error: String(error.message ?? error) };
  }
}

async function signedLoaders(context) {
  return {
    documentLoader: await context.getDocumentLoader({ identifier: NAME }),
    contextLoader: context.contextLoader,
  };
}

// ---------------------------------------------------------------- what the bot sends

async function lookUp(context, what) {
  const loaders = await signedLoaders(context);
  const object = await context.lookupObject(what, { ...loaders, crossOrigin: "throw" });
  if (object === null) throw Object.assign(new Error(`${what} was not found`), { status: 404 });
  return object;
}

async function lookUpActor(context, what) {
  const actor = await lookUp(context, what);
  if (!isActor(actor)) throw new TypeError(`${what} is a ${actor.constructor.name}, not an actor`);
  return actor;
}

/** Stores an activity, so that its id can be dereferenced, and delivers it; raises what failed. */
async function publish(context, type, properties, recipients, id = crypto.randomUUID()) {
  const activity = new type({
    id: context.getObjectUri(type, { id }), actor: context.getActorUri(NAME), ...properties,
  });
  published.set(id, { object: activity, recipients });
  await deliver(context, activity, recipients);
  return activity;
}

async function deliver(context, activity, recipients) {
  const distinct = [...new Map(recipients.map((actor) => [actor.id.href, actor])).values()];
  if (distinct.length === 0) return;
  await context.sendActivity({ identifier: NAME }, distinct, activity, { preferSharedInbox: true });
}

/** Author and group of an object: those who must hear of a reply to it or a like of it. */
async function concerned(context, object) {
  const ids = [...object.attributionIds, ...object.audienceIds].map((uri) => uri.href);
  return await Promise.all([...new Set(ids)].map((uri) => lookUpActor(context, uri)));
}

async function publishNote(context, { content, replyTo = null, mention = [], group = null }) {
  const parent = replyTo === null ? null : await lookUp(context, replyTo);
  const named = await Promise.all(mention.map((uri) => lookUpActor(context, uri)));
  const audience = group === null ? [] : [await lookUpActor(context, group)];
  const others = [...(parent === null ? [] : await concerned(context, parent)), ...named, ...audience];
  const id = crypto.randomUUID();
  const addressed = {
    tos: [PUBLIC_COLLECTION],
    ccs: [context.getFollowersUri(NAME), ...new Set(others.map((actor) => actor.id.href))]
      .map((uri) => new URL(uri)),
    published: Temporal.Now.instant(),
  };
  const note = new Note({
    id: context.getObjectUri(Note, { id }),
    attribution: context.getActorUri(NAME),
    content,
    mediaType: "text/html",
    replyTarget: parent?.id ?? null,
    audiences: audience.map((actor) => actor.id),
    tags: await Promise.all(others.map(async (actor) =>
      new Mention({ href: actor.id, name: `@${actor.preferredUsername}@${actor.id.host}` }))),
    ...addressed,
  });
  const recipients = [...others, ...followers.values()];
  published.set(id, { object: note, recipients });
  const create = await publish(context, Create, { object: note, ...addressed }, recipients);
  return { object: note.id.href, activity: create.id.href };
}

const findPublished = (uri) => {
  const found = [...published.entries()].find(([, { object }]) => object.id.href === uri);
  if (!found) throw Object.assign(new Error(`${uri} is none of mine`), { status: 404 });
  return { id: found[0], ...found[1] };
};

async function deleteObject(context, uri) {
  const { id, recipients } = findPublished(uri);
  const tombstone = new Tombstone({ id: new URL(uri), deleted: Temporal.Now.instant() });
  published.delete(id);
  tombstones.set(new URL(uri).pathname, tombstone);
  return await publish(
    context, Delete, { object: tombstone, tos: [PUBLIC_COLLECTION] }, recipients,
  );
}

async function updateNote(context, uri, content) {
  const { id, object, recipients } = findPublished(uri);
  const note = object.clone({ content, updated: Temporal.Now.instant() });
  published.set(id, { object: note, recipients });
  const addressed = { tos: [PUBLIC_COLLECTION], ccs: [context.getFollowersUri(NAME)] };
  return await publish(context, Update, { object: note, ...addressed }, recipients);
}

async function undo(context, uri) {
  const { object, recipients } = findPublished(uri);
  const addressed = object instanceof Follow ? {} : { tos: [PUBLIC_COLLECTION] };
  return await publish(context, Undo, { object, ...addressed }, recipients);
}

async function announce(context, uri, embed) {
  const object = embed ? findPublished(uri).object : new URL(uri);
  const addressed = { tos: [PUBLIC_COLLECTION], ccs: [context.getFollowersUri(NAME)] };
  return await publish(context, Announce, { object, ...addressed }, [...followers.values()]);
}

const idOf = (activity) => ({ activity: activity.id.href });

/** The control API: "METHOD /path" -> what it answers as JSON. */
const controls = {
  "GET /health": () => ({ ok: true, node: process.version }),
  "GET /actor": (context) => ({
    uri: context.getActorUri(NAME).href,
    handle: `@${NAME}@${context.host}`,
    inbox: context.getInboxUri(NAME).href,
    sharedInbox: context.getInboxUri().href,
    followers: [...followers.keys()],
  }),
  "GET /log": async () => {
    await Promise.all(pending);
    return received;
  },
  "GET /requests": () => requests,
  "GET /sent": () => sent,
  "POST /lookup": async (context, { handle, uri }) => {
    const object = await lookUp(context, handle ?? uri);
    const resource = handle ? `acct:${handle.replace(/^@/, "")}` : uri;
    return {
      type: object.constructor.name,
      id: object.id.href,
      name: object.name?.toString() ?? null,
      content: object.content?.toString() ?? null,
      preferredUsername: object.preferredUsername?.toString() ?? null,
      inbox: object.inboxId?.href ?? null,
      sharedInbox: object.endpoints?.sharedInbox?.href ?? null,
      followers: object.followersId?.href ?? null,
      outbox: object.outboxId?.href ?? null,
      webfinger: await context.lookupWebFinger(resource),
      document: await object.toJsonLd(),
    };
  },
  "POST /follow": async (context, { uri }) => {
    const actor = await lookUpActor(context, uri);
    return idOf(await publish(context, Follow, { object: actor.id, tos: [actor.id] }, [actor]));
  },
  "POST /note": publishNote,
  "POST /reply": (context, { to, content }) => publishNote(context, { content, replyTo: to }),
  "POST /like": async (context, { object }) => {
    const liked = await lookUp(context, object);
    const recipients = await concerned(context, liked);
    const tos = recipients.map((actor) => actor.id);
    return idOf(await publish(context, Like, { object: liked.id, tos }, recipients));
  },
  "POST /announce": async (context, { object, embed = false }) =>
    idOf(await announce(context, object, embed)),
  "POST /undo": async (context, { activity }) => idOf(await undo(context, activity)),
  "POST /update": async (context, { object, content }) =>
    idOf(await updateNote(context, object, content)),
  "POST /delete": async (context, { object }) => idOf(await deleteObject(context, object)),
  "POST /crawl": async (context, { uri, max }) =>
    await crawl(context, await signedLoaders(context), uri, max),
};

// ---------------------------------------------------------------- the two listeners

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw Object.assign(new Error("too large"), { status: 413 });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function answerTombstone(context, tombstone) {
  const document = await tombstone.toJsonLd({ contextLoader: context.contextLoader });
  return Response.json(document, {
    status: 410, headers: { "content-type": "application/activity+json" },
  });
}

function federationListener(federation, origin, context) {
  return async (incoming, outgoing) => {
    const record = {
      method: incoming.method,
      path: incoming.url,
      host: incoming.headers.host ?? null,
      userAgent: incoming.headers["user-agent"] ?? null,
      accept: incoming.headers.accept ?? null,
      contentType: incoming.headers["content-type"] ?? null,
      status: null,
      receivedAt: new Date().toISOString(),
    };
    requests.push(record);
    try {
      const headers = new Headers();
      for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
        headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
      }
      record.signature = signatureStyle(headers);
      record.signatureHeader = headers.get("signature-input") ?? headers.get("signature");
      record.headers = [...headers];
      const body = await readBody(incoming);
      record.body = body.toString("utf8");
      const hasBody = incoming.method !== "GET" && incoming.method !== "HEAD";
      const request = new Request(new URL(incoming.url, origin), {
        method: incoming.method, headers, body: hasBody ? body : undefined,
      });
      const tombstone = tombstones.get(new URL(request.url).pathname);
      const response = tombstone
        ? await answerTombstone(context, tombstone)
        : await inboundRequest.run(record, () =>
          federation.fetch(request, { contextData: undefined }));
      record.status = response.status;
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(Buffer.from(await response.arrayBuffer()));
    } catch (error) {
      record.status = error.status ?? 500;
      record.refusal ??= String(error.stack ?? error);
      outgoing.writeHead(record.status).end();
    }
  };
}

function controlListener(context) {
  return async (incoming, outgoing) => {
    const answer = (status, value) => {
      outgoing.writeHead(status, { "content-type": "application/json" });
      outgoing.end(JSON.stringify(value, (_key, item) => (item instanceof URL ? item.href : item)));
    };
    try {
      const control = controls[`${incoming.method} ${incoming.url}`];
      if (!control) return answer(404, { error: `no ${incoming.method} ${incoming.url}` });
      const body = await readBody(incoming);
      answer(200, await control(context, body.length > 0 ? JSON.parse(body) : {}));
    } catch (error) {
      answer(error.status ?? 502, {
        error: String(error.message ?? error),
        inbox: error.inbox?.href,
        statusCode: error.statusCode,
        responseBody: error.responseBody,
        stack: error.stack,
      });
    }
  };
}

const listen = (server, port) => new Promise((resolve, reject) => {
  server.once("error", reject);
  server.listen(port, "127.0.0.1", () => resolve(server.address().port));
});

const tlsServer = https.createServer({
  cert: readFileSync(process.env.FEDIFY_CERT), key: readFileSync(process.env.FEDIFY_KEY),
});
const port = await listen(tlsServer, Number(process.env.FEDIFY_PORT ?? 0));
const origin = `https://${HOST}:${port}`;
const federation = createBot(origin);
const context = federation.createContext(new URL(origin), undefined);
tlsServer.on("request", federationListener(federation, origin, context));
const controlPort = await listen(http.createServer(controlListener(context)), 0);

// The parent holds the other end of stdin: when it goes, whichever way, the bot goes too.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
console.log(JSON.stringify({ ready: true, origin, control: `http://127.0.0.1:${controlPort}` }));
