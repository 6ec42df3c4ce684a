"use strict";
// Captures what the script prints, stderr too, and sends it on in pieces.

const { Console } = require("node:console");
const { Writable } = require("node:stream");

const EAGER = 64; // writes sent at once, so that a killed run still shows its first
const PIECE = 8_192;
const LONGEST = 1 << 18;
const stringify = JSON.stringify;

// Takes the place of process.stdout and process.stderr, and behind console.
class Output extends Writable {
  #channel;
  #pieces = [];
  #size = 0;
  #writes = 0;

  constructor(channel) {
    super({ decodeStrings: false });
    this.#channel = channel;
  }

  // At once, whatever is under way: a stream would queue it.
  write(text, encoding, callback) {
    const done = typeof encoding === "function" ? encoding : callback;
    const piece = typeof text === "string" ? text : Buffer.from(text).toString();
    if (piece) {
      this.#pieces.push(piece);
      this.#size += piece.length;
      const eager = this.#writes < EAGER && piece.endsWith("\n");
      if (eager || this.#size >= PIECE) this.flush();
    }
    if (done) process.nextTick(done);
    return true;
  }

  flush() {
    if (!this.#pieces.length) return;
    const text = this.#pieces.join("");
    this.#pieces = [];
    this.#size = 0;
    this.#writes += 1;
    for (let at = 0; at < text.length; at += LONGEST) {
      const piece = clean(text.slice(at, at + LONGEST));
      this.#channel.send(`{"t":"out","text":${stringify(piece)}}`);
    }
  }

  install() {
    for (const name of ["stdout", "stderr"]) {
      Object.defineProperty(process, name, { value: this, configurable: true });
    }
    const console = new Console({ stdout: this, stderr: this, colorMode: false });
    Object.defineProperty(globalThis, "console", { value: console, writable: true, configurable: true });
  }
}

// Text that PostgreSQL can hold.
function clean(text) {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

module.exports = { Output, clean };
