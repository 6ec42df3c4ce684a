"use strict";
// Strips a script's types and compiles it: positions stay, top-level await and return.

const { stripTypeScriptTypes } = require("node:module");
const { Script } = require("node:vm");

const FILENAME = "script.ts";
const HEAD = 'async function script(tools, callTool, ToolError) { "use strict"; ';
const HINTS = [
  [/'import', and 'export'|import statement/, "tools and callTool are there without import; for Node's own modules use require"],
  [/enum/, 'use a union of strings or an object: const Color = { Red: "red" } as const'],
];

// A script that does not parse.
class Unparsed extends Error {
  constructor(message, line, suggestions) {
    super(message);
    this.line = line;
    this.suggestions = suggestions;
  }
}

// The script as an async function of tools, callTool and ToolError. Throws Unparsed.
function compile(source) {
  const lines = source.split("\n").length;
  try {
    const stripped = stripTypeScriptTypes(`${HEAD}${source}\n}`, { mode: "strip" });
    const options = { filename: FILENAME, columnOffset: -HEAD.length - 1 };
    return new Script(`(${stripped})`, options).runInThisContext();
  } catch (error) {
    const place = /^[^\n]*:(\d+)\n/.exec(String(error.stack));
    const line = place ? Math.min(Number(place[1]), lines) : null;
    const hints = HINTS.filter(([pattern]) => pattern.test(error.message));
    throw new Unparsed(String(error.message), line, hints.map(([, hint]) => hint));
  }
}

module.exports = { FILENAME, Unparsed, compile };
