/**
 * Dereferences a document and everything that it leads to on the same origin, with Fedify's signed
 * loader, Fedify's parser and Fedify's verifier of object integrity proofs.
 */
import { verifyObject } from "@fedify/fedify";
import { Collection, Object as APObject } from "@fedify/fedify/vocab";

/** Properties whose value is for people, is a picture, or takes POST only. */
const NOT_DOCUMENTS = new Set([
  "@context", "url", "icon", "image", "attachment", "inbox", "sharedInbox", "endpoints",
  "proof", "signature", "source", "generator", "schema:sameAs",
]);
const PUBLIC = new Set(["https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"]);
const DEFAULT_MAX = 200;

const withoutFragment = (uri) => uri.split("#")[0];

/** Every https id in `node`, with the property that it was met under. */
export function* idsIn(node, property = "id") {
  if (Array.isArray(node)) {
    for (const item of node) yield* idsIn(item, property);
  } else if (node !== null && typeof node === "object") {
    for (const [key, value] of Object.entries(node)) {
      if (!NOT_DOCUMENTS.has(key)) yield* idsIn(value, key);
    }
  } else if (typeof node === "string" && /^https?:\/\/\S+$/.test(node) && !PUBLIC.has(node)) {
    if (property !== "href" && property !== "content" && property !== "name") {
      yield { url: withoutFragment(node), property };
    }
  }
}

/** Mentions and hashtags carry their target as `href`; only a Mention's is an actor id. */
function* mentionsIn(document) {
  for (const tag of [document.tag ?? []].flat()) {
    if (tag?.type === "Mention" && typeof tag.href === "string") {
      yield { url: withoutFragment(tag.href), property: "tag" };
    }
  }
}

async function readDocument(url, loaders) {
  const { document, documentUrl, contextUrl } = await loaders.documentLoader(url);
  const found = {
    status: 200, documentUrl, contextUrl, type: document.type ?? null, id: document.id ?? null,
  };
  const ids = [...idsIn(document), ...mentionsIn(document)];
  // A key document has no class of its own in the vocabulary of activities.
  if (document.publicKeyPem && document.owner) return { found: { ...found, parsed: "key" }, ids };
  const parsed = await APObject.fromJsonLd(document, {
    ...loaders, baseUrl: new URL(documentUrl),
  });
  found.parsed = parsed.constructor.name;
  found.parsedId = parsed.id?.href ?? null;
  if (parsed.id !== null && withoutFragment(parsed.id.href) !== withoutFragment(documentUrl)) {
    found.error = `the document at ${documentUrl} calls itself ${parsed.id.href}`;
  }
  if (document.proof) {
    const verified = await verifyObject(APObject, document, loaders);
    found.proof = verified === null ? "refused" : "verified";
    if (verified === null) found.error = "its integrity proof does not verify";
  }
  if (parsed instanceof Collection) {
    found.totalItems = parsed.totalItems;
    found.declaresFirst = parsed.firstId !== null || document.first !== undefined;
  }
  return { found, ids, parsed };
}

/** Walks a whole collection by Fedify's own reading of first, next, items and orderedItems. */
async function countItems(collection, context, loaders, max) {
  let count = 0;
  for await (const item of context.traverseCollection(collection, loaders)) {
    count += item === null ? 0 : 1;
    if (count >= max) break;
  }
  return count;
}

/**
 * @returns a list of `{url, via, property, status, type, parsed, id, ...}`; a document that could not be
 *   fetched, parsed or verified has `error`, one of another origin has `skipped`.
 */
export async function crawl(context, loaders, start, max = DEFAULT_MAX) {
  const origin = new URL(start).origin;
  const queue = [{ url: withoutFragment(start), property: "start", via: null }];
  const met = new Set([queue[0].url]);
  const results = [];
  while (queue.length > 0 && results.length < max) {
    const { url, property, via } = queue.shift();
    const result = { url, property, via };
    results.push(result);
    if (new URL(url).origin !== origin) {
      result.skipped = "another origin";
      continue;
    }
    try {
      const { found, ids, parsed } = await readDocument(url, loaders);
      Object.assign(result, found);
      if (found.declaresFirst !== undefined) {
        result.items = await countItems(parsed, context, loaders, max);
      }
      for (const next of ids) {
        if (met.has(next.url)) continue;
        met.add(next.url);
        queue.push({ ...next, via: url });
      }
    } catch (error) {
      result.status = error.response?.status ?? null;
      result.error = String(error.message ?? error);
    }
  }
  return { results, left: queue.length };
}
