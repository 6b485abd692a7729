/**
 * activitypub.bot asks for activitystrea.ms 4; the newest that the package index has is 3.1.0. What was added in
 * between and the server relies on (3.2.0: `registerContext`, one loader for all contexts, the original
 * context on export; 3.3.0: `isActivity`) is given to 3.1.0 here. Import this before the server.
 */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const Loader = require("activitystrea.ms/src/contextloader");
const Environment = require("activitystrea.ms/src/environment");

const known = Loader.defaultInstance;
const makeDocLoader = Loader.prototype.makeDocLoader;
Loader.prototype.makeDocLoader = () => makeDocLoader.call(known);
Object.defineProperty(Environment.prototype, "origContext", {
  get() { return this.originalContext; },
});
require("activitystrea.ms").registerContext = (url, context) => known.register(url, context);

const vocabulary = require("vocabs-as");
const reasoner = require("activitystrea.ms/src/reasoner");
const Base = require("activitystrea.ms/src/models/_base");
// Not enumerable, as a method of the class would be: objects are exported by what can be enumerated.
Object.defineProperty(Base.prototype, "isActivity", {
  value() {
    const types = [this.type].flat();
    return types.some((type) => reasoner.node(type).is(vocabulary.Activity)) || Boolean(this.actor);
  },
});
