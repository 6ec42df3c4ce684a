"use strict";
// Says in one line what went wrong in a script, and in which line of it.

const { closest } = require("./closest.js");
const { clean } = require("./output.js");
const { FILENAME, Unparsed } = require("./script.js");
const { LimitReached, Missing, ToolError, stepOf } = require("./toolkit.js");
const { NotJSON } = require("./values.js");

const LONGEST = 2_000;
const PLACE = new RegExp(`^ +at .*\\b${FILENAME.replace(".", "\\.")}:(\\d+):`, "m");
const NAMES = ["tools", "callTool", "ToolError", "console", "JSON", "Object", "Array", "Math", "Promise"];
const ELSEWHERE = new Map([
  ["print", "console.log"],
  ["call_tool", "callTool"],
  ["fetch", "there is no network: use a tool"],
  ["asyncio", "Promise.all"],
]);

// An error of the harness itself: its message alone says enough.
class Ended extends Error {}

// The error of a `done` frame; `namespaces` are the names of the tool servers.
function describe(error, namespaces) {
  return {
    code: codeOf(error),
    message: clean(messageOf(error)).slice(0, LONGEST).toWellFormed(),
    line: lineOf(error),
    step: error instanceof ToolError ? stepOf(error) : 0,
    suggestions: suggestionsOf(error, namespaces).slice(0, 5),
  };
}

function codeOf(error) {
  if (error instanceof Unparsed) return "syntax_error";
  if (error instanceof LimitReached) return error.code;
  if (error instanceof ToolError) return "tool_error";
  if (isProcess(error)) return "processes";
  if (error instanceof Error && ["ENOSPC", "EFBIG"].includes(error.code)) return "tmp_full";
  return "script_error";
}

// A process or thread that the sandbox refused.
function isProcess(error) {
  if (!(error instanceof Error)) return false;
  const isSpawn = String(error.syscall).startsWith("spawn") && error.code === "EPERM";
  return isSpawn || error.code === "ERR_WORKER_INIT_FAILED";
}

function messageOf(error) {
  if ([Unparsed, LimitReached, Ended].some((kind) => error instanceof kind)) return error.message;
  if (error instanceof ToolError) {
    return error.tool ? `${error.tool}: ${error.message}` : String(error.message);
  }
  try {
    if (error instanceof NotJSON) return `TypeError: ${error.message}`;
    return error instanceof Error ? String(error) : `The script threw ${JSON.stringify(error)}`;
  } catch {
    return "The script threw a value that cannot be shown";
  }
}

// Line of the script that threw; null where none did.
function lineOf(error) {
  if (error instanceof Unparsed) return error.line;
  try {
    const place = PLACE.exec(String(error.stack));
    return place ? Number(place[1]) : null;
  } catch {
    return null;
  }
}

function suggestionsOf(error, namespaces) {
  if (error instanceof ToolError || error instanceof Missing || error instanceof Unparsed) {
    return Array.from(error.suggestions, (text) => clean(String(text)));
  }
  const message = error instanceof Error ? messageOf(error) : "";
  if (error instanceof TypeError && /\)\.\w+ is not a function|not iterable/.test(message)) {
    return ["write `await` before the tool call"];
  }
  const missing = error instanceof ReferenceError && /^ReferenceError: (\S+) is not defined/.exec(message);
  if (!missing) return [];
  const name = missing[1];
  if (ELSEWHERE.has(name)) return [ELSEWHERE.get(name)];
  if (namespaces.includes(name)) return [`tools.${name}`];
  return closest(name, NAMES);
}

module.exports = { Ended, describe };
