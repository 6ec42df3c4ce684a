"use strict";
// Pins the clock, randomness and identifiers of a script to its run.
//
// The clock starts at the run's start time and moves one millisecond per reading;
// nothing else moves it. So a replay reads the same.

const crypto = require("node:crypto");
const { performance: nodePerformance } = require("node:perf_hooks");

const RealDate = Date;
const createHash = crypto.createHash;

let start = 0;
let now = 0;
let seed = "0";
let block = 0;
let pool = Buffer.alloc(0);
let state = new Uint32Array(4);

// Start the clock and seed every source of randomness.
function setRun(runSeed, startedAt) {
  start = now = Math.floor(startedAt * 1000);
  seed = runSeed;
  block = 0;
  pool = Buffer.alloc(0);
  const bytes = createHash("sha256").update(`${seed}:random`).digest();
  state = Uint32Array.from([0, 4, 8, 12], (at) => bytes.readUInt32LE(at));
}

function read() {
  now += 1;
  return now;
}

function elapsed() {
  return read() - start;
}

function entropy(size) {
  while (pool.length < size) {
    const name = `${seed}:entropy:${block++}`;
    pool = Buffer.concat([pool, createHash("sha256").update(name).digest()]);
  }
  const taken = Buffer.from(pool.subarray(0, size));
  pool = pool.subarray(size);
  return taken;
}

const rotate = (value, by) => (value << by) | (value >>> (32 - by));

// xoshiro128**, two words for the 53 bits of a number
function word() {
  const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 11);
  return result;
}

function random() {
  return ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53;
}

function PinnedDate(...given) {
  if (new.target === undefined) return new RealDate(read()).toString();
  return Reflect.construct(RealDate, given.length ? given : [read()], new.target);
}

function fill(target) {
  const view = ArrayBuffer.isView(target)
    ? new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    : new Uint8Array(target);
  view.set(entropy(view.length));
  return target;
}

function getRandomValues(target) {
  if (!ArrayBuffer.isView(target) || target.byteLength > 65_536) {
    throw new TypeError("getRandomValues takes a typed array of at most 65,536 bytes");
  }
  return fill(target);
}

function randomUUID() {
  const bytes = entropy(16);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function randomBytes(size, callback) {
  const bytes = entropy(size);
  return callback ? void queueMicrotask(() => callback(null, bytes)) : bytes;
}

function randomFillSync(target, offset = 0, size = target.byteLength - offset) {
  const view = ArrayBuffer.isView(target) ? target : new Uint8Array(target);
  new Uint8Array(view.buffer, view.byteOffset + offset, size).set(entropy(size));
  return target;
}

function randomInt(low, high, callback) {
  if (high === undefined || typeof high === "function") [low, high, callback] = [0, low, high];
  const chosen = low + Math.floor(random() * (high - low));
  return callback ? void queueMicrotask(() => callback(null, chosen)) : chosen;
}

function hrtime(since) {
  const passed = elapsed();
  const [seconds, nanoseconds] = [Math.floor(passed / 1000), (passed % 1000) * 1e6];
  if (!since) return [seconds, nanoseconds];
  const left = (seconds - since[0]) * 1e9 + nanoseconds - since[1];
  return [Math.floor(left / 1e9), left % 1e9];
}
hrtime.bigint = () => BigInt(elapsed()) * 1_000_000n;

function pinDate() {
  PinnedDate.prototype = RealDate.prototype;
  RealDate.prototype.constructor = PinnedDate;
  PinnedDate.now = read;
  PinnedDate.parse = RealDate.parse;
  PinnedDate.UTC = RealDate.UTC;
  Object.defineProperty(PinnedDate, "name", { value: "Date" });
  Object.defineProperty(PinnedDate, "length", { value: 7 });
  globalThis.Date = PinnedDate;
  const formats = Intl.DateTimeFormat.prototype;
  const { get } = Object.getOwnPropertyDescriptor(formats, "format");
  Object.defineProperty(formats, "format", {
    configurable: true,
    get() {
      const format = get.call(this);
      return (when = read()) => format(when);
    },
  });
  const toParts = formats.formatToParts;
  formats.formatToParts = function formatToParts(when = read()) {
    return toParts.call(this, when);
  };
}

// Put the pinned sources in place of the real ones.
function install() {
  pinDate();
  Math.random = random;
  const replace = (target, functions) => {
    for (const [name, value] of Object.entries(functions)) {
      Object.defineProperty(target, name, { value, writable: true, configurable: true });
    }
  };
  replace(Object.getPrototypeOf(crypto.webcrypto), { getRandomValues, randomUUID });
  replace(crypto, { randomBytes, randomFillSync, randomInt, randomUUID });
  replace(crypto, { pseudoRandomBytes: randomBytes, rng: randomBytes, prng: randomBytes });
  replace(crypto, {
    randomFill(target, ...rest) {
      const callback = rest.pop();
      randomFillSync(target, ...rest);
      queueMicrotask(() => callback(null, target));
    },
  });
  replace(nodePerformance, { now: elapsed });
  Object.defineProperty(nodePerformance, "timeOrigin", { get: () => start });
  replace(process, { hrtime, uptime: () => elapsed() / 1000 });
}

module.exports = { install, setRun };
