"use strict";
// Turns values into strict JSON text, or says what is wrong and where.

const MAX_DEPTH = 100;
const LARGEST = 2 ** 64;
const SMALLEST = -(2 ** 63);
const NAME = /^[A-Za-z_$][\w$]*$/;
const stringify = JSON.stringify;
const HINTS = new Map([
  ["Promise", "a tool call or async function lacks its await"],
  ["Map", "use Object.fromEntries(…)"],
  ["Set", "use [...set]"],
  ["RegExp", "use String(…)"],
  ["Error", "use its .message"],
  ["ToolError", "use its .message"],
  ["ArrayBuffer", "use base64"],
]);

// A value that has no strict JSON form; the message says which and where.
class NotJSON extends TypeError {}

// JSON text of `value`, called `name` in messages. Keys that are undefined are left
// out; anything else that JSON.stringify would drop or change throws NotJSON.
function toJSON(value, name) {
  if (value === undefined) return "null";
  check(value, () => name, 0);
  return stringify(value);
}

function check(value, path, depth) {
  switch (typeof value) {
    case "string":
      return checkText(value, path);
    case "number":
      return checkNumber(value, path);
    case "boolean":
      return undefined;
    case "object":
      return value === null ? undefined : checkObject(value, path, depth);
    case "bigint":
      throw new NotJSON(`${path()} is a bigint, which is not JSON: use Number(…) or String(…)`);
    case "undefined":
      throw new NotJSON(`${path()} is undefined, which is not JSON: use null`);
    default:
      throw new NotJSON(`${path()} is a ${typeof value}, which is not JSON`);
  }
}

function checkText(value, path) {
  if (value.includes("\0")) {
    throw new NotJSON(`${path()} holds a NUL character, which text must not: remove it`);
  }
  if (!value.isWellFormed()) {
    throw new NotJSON(`${path()} holds a lone surrogate, which is not text`);
  }
}

function checkNumber(value, path) {
  if (!Number.isFinite(value)) {
    throw new NotJSON(`${path()} is ${value}, which JSON does not have: use null`);
  }
  // from 1e21 on it is written with an exponent, which makes it a float
  const isWritten = Number.isInteger(value) && Math.abs(value) < 1e21;
  if (isWritten && (value >= LARGEST || value < SMALLEST)) {
    throw new NotJSON(`${path()} is an integer beyond 64 bits: use String(…)`);
  }
}

function checkObject(value, path, depth) {
  if (depth >= MAX_DEPTH) {
    throw new NotJSON(`${path().slice(0, 80)}… is nested more than ${MAX_DEPTH} levels deep`);
  }
  if (typeof value.toJSON === "function") {
    return check(value.toJSON(), path, depth + 1);
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      check(value[index], () => `${path()}[${index}]`, depth + 1);
    }
    return undefined;
  }
  refuseKind(value, path);
  for (const key of Object.keys(value)) {
    checkText(key, () => `a key of ${path()}`);
    const item = value[key];
    if (item !== undefined) check(item, () => path() + step(key), depth + 1);
  }
  return undefined;
}

function refuseKind(value, path) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return;
  let kind = Object.prototype.toString.call(value).slice(8, -1);
  if (kind === "Object") return; // an instance of a class: its own fields
  if (value instanceof Error) kind = "Error";
  const hint = ArrayBuffer.isView(value) ? "use Array.from(…)" : HINTS.get(kind);
  throw new NotJSON(`${path()} is of type ${kind}, which is not JSON${hint ? `: ${hint}` : ""}`);
}

function step(key) {
  return NAME.test(key) ? `.${key}` : `[${stringify(key)}]`;
}

module.exports = { NotJSON, toJSON };
