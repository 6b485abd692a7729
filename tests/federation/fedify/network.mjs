/**
 * The bot's view of the network: loopback and nothing else.
 *
 * Names come from FEDIFY_HOSTS; any other name does not exist, and a literal address outside
 * 127.0.0.0/8 and ::1 is refused. That is what makes `allowPrivateAddress` harmless here. Every
 * outgoing request is remembered with the style of its signature and the answer.
 */
import dns from "node:dns";
import { isIP } from "node:net";

const REQUEST_TIMEOUT_MS = 15_000;
const MAX_REMEMBERED = 5_000;

const isLoopback = (address) =>
  /^127\.\d+\.\d+\.\d+$/.test(address) || address === "::1" || address === "[::1]";

/** Names that `hosts` holds resolve to its addresses, `localhost` to 127.0.0.1, others to nothing. */
export function resolveOnly(hosts) {
  for (const address of Object.values(hosts)) {
    if (!isLoopback(address)) throw new TypeError(`${address} is not a loopback address`);
  }
  const known = { localhost: "127.0.0.1", ...hosts };
  dns.lookup = (hostname, options, callback) => {
    if (typeof options === "function") [options, callback] = [{}, options];
    if (typeof options === "number") options = { family: options };
    const address = known[hostname] ?? (isLoopback(hostname) ? hostname : undefined);
    if (address === undefined) {
      const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`);
      Object.assign(error, { code: "ENOTFOUND", errno: -3008, syscall: "getaddrinfo", hostname });
      process.nextTick(callback, error);
    } else if (options?.all) {
      process.nextTick(callback, null, [{ address, family: isIP(address) }]);
    } else {
      process.nextTick(callback, null, address, isIP(address));
    }
  };
}

/** How a request is signed: "rfc9421", "draft-cavage" or "unsigned". */
export function signatureStyle(headers) {
  if (headers.has("signature-input")) return "rfc9421";
  if (headers.has("signature") || /^signature /i.test(headers.get("authorization") ?? "")) {
    return "draft-cavage";
  }
  return "unsigned";
}

/** Wraps the global fetch; returns the growing list of `{method, url, signature, status | error}`. */
export function rememberRequests() {
  const sent = [];
  const fetchOnce = globalThis.fetch;
  globalThis.fetch = async (input, init = {}) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const entry = {
      method: request.method,
      url: request.url,
      signature: signatureStyle(request.headers),
      status: null,
      sentAt: new Date().toISOString(),
    };
    if (sent.length < MAX_REMEMBERED) sent.push(entry);
    try {
      if (isIP(url.hostname.replace(/^\[|\]$/g, "")) && !isLoopback(url.hostname)) {
        throw new TypeError(`${url.hostname} is not a loopback address`);
      }
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
      const response = await fetchOnce(request, { redirect: init.redirect, signal });
      entry.status = response.status;
      if (response.status >= 400) entry.answer = (await response.clone().text()).slice(0, 500);
      return response;
    } catch (error) {
      entry.error = String(error.cause ?? error);
      throw error;
    }
  };
  return sent;
}
