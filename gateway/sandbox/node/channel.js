"use strict";
// Length-prefixed JSON frames over the two pipes to the host.

const fs = require("node:fs");
const net = require("node:net");

const INCOMING = 0;
const OUTGOING = 1;
const parse = JSON.parse;

// The sandbox's end; whoever takes frames with `next` is told that some have come.
class Channel {
  #parts = [];
  #size = 0;
  #wanted = 4;
  #socket = null;
  onFrames = () => {};

  // Write one frame of JSON text.
  send(text) {
    this.sendAll([text]);
  }

  // Write frames in one go, so that the host sees them together.
  sendAll(texts) {
    let data = texts.length > 1 ? Buffer.concat(texts.map(encode)) : encode(texts[0]);
    while (data.length) data = data.subarray(fs.writeSync(OUTGOING, data));
  }

  // Block until the next frame; ends the process when the host is gone.
  receive() {
    const buffer = Buffer.alloc(65_536);
    for (;;) {
      const frame = this.#take();
      if (frame !== null) return frame;
      const size = fs.readSync(INCOMING, buffer);
      if (!size) process.reallyExit(0);
      this.#feed(Buffer.from(buffer.subarray(0, size)));
    }
  }

  // From now on `receive` must not be used: frames that come go to `onFrames`.
  listen() {
    this.#socket = new net.Socket({ fd: INCOMING, readable: true, writable: false });
    this.#socket.on("data", (data) => {
      this.#feed(data);
      this.onFrames();
    });
    this.#socket.on("close", () => process.reallyExit(0));
  }

  // Whether waiting for the host keeps the event loop going.
  hold(isAwaited) {
    if (isAwaited) this.#socket.ref();
    else this.#socket.unref();
  }

  // The next frame that has come, or null.
  next() {
    return this.#take();
  }

  #feed(data) {
    this.#parts.push(data);
    this.#size += data.length;
  }

  #take() {
    if (this.#size < this.#wanted) return null;
    const buffer = this.#parts.length > 1 ? Buffer.concat(this.#parts) : this.#parts[0];
    const end = 4 + buffer.readUInt32BE();
    if (buffer.length < end) {
      this.#parts = [buffer];
      this.#wanted = end;
      return null;
    }
    this.#parts = [buffer.subarray(end)];
    this.#size = buffer.length - end;
    this.#wanted = 4;
    return parse(buffer.toString("utf8", 4, end));
  }
}

// The bytes of one frame.
function encode(text) {
  const size = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(4 + size);
  frame.writeUInt32BE(size);
  frame.write(text, 4);
  return frame;
}

module.exports = { Channel, encode };
