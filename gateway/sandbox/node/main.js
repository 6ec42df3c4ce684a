"use strict";
// Takes one job from the host, runs its script, says how it ended.

const v8 = require("node:v8");
const vm = require("node:vm");

const { Channel, encode } = require("./channel.js");
const clock = require("./clock.js");
const { Ended, describe } = require("./failure.js");
const { Output } = require("./output.js");
const { compile } = require("./script.js");
const { Caller, ToolError, makeTools } = require("./toolkit.js");
const { NotJSON, toJSON } = require("./values.js");

const NOT_THERE = ["fetch", "WebSocket", "EventSource", "navigator", "WebAssembly"];
const WARM_UP = `
const half: number = arguments[3];
type Row = { id: number; at: string };
const rows: Row[] = [...Array(20).keys()].map((id) => ({ id, at: new Date().toISOString() }));
const total = (given: Row[]): number => given.reduce((sum, row) => sum + row.id, 0);
const ids = await Promise.all(rows.map(async (row) => row.id));
let note = "";
try {
  tools.warm.nothin();
} catch (error) {
  note = String((error as Error).stack);
}
const call = async (id: number) => {
  try {
    await tools.warm.nothing({ id, since: "2026-04-01", rows: [id] });
  } catch (error) {
    note = (error as ToolError).code;
  }
};
for (let i = 0; i < half; i++) await call(i);
await Promise.all(Array.from({ length: half }, (_, i) => call(i)));
return { total: total(rows), ids, note: note.length, random: Math.random() };
`;
const LIMITS = { calls: 0, calls_in_flight: 1, message_bytes: 1_024 };

const REFUSED = { code: "warm", message: "", retryable: false, suggestions: [], details: {} };
const forever = new Int32Array(new SharedArrayBuffer(4));

async function main() {
  const channel = new Channel();
  const output = new Output(channel);
  clock.install();
  await warmUp(channel, output, 1_000); // until what serves calls is compiled
  collect();
  channel.send('{"t":"ready"}');
  const first = channel.receive();
  channel.listen();
  if (!first.warm) {
    serve(first, channel, output);
    return;
  }
  // restored from a checkpoint, with all pages cold
  await warmUp(channel, output, 40);
  channel.onFrames = () => {
    const job = channel.next();
    if (job !== null) serve(job, channel, output);
  };
  channel.send('{"t":"ready"}');
}

// Run a script through every stage: the first one pays for all caches.
async function warmUp(channel, output, calls) {
  clock.setRun("0", 0);
  const limits = { calls, calls_in_flight: 16, message_bytes: 2_048 };
  const caller = new Caller(new Loopback(() => caller.takeReplies()), output, limits, () => {});
  const { tools, callTool } = makeTools({ warm: { nothing: "x" } }, caller);
  toJSON(await compile(WARM_UP)(tools, callTool, ToolError, calls / 2), "result");
  describe(new ReferenceError("warn is not defined"), ["warm"]);
}

// Give back what the warm-up left, which every sandbox would be restored with.
function collect() {
  v8.setFlagsFromString("--expose-gc");
  vm.runInNewContext("gc")({ type: "major", flavor: "last-resort" });
  v8.setFlagsFromString("--no-expose-gc");
}

// A channel whose host answers each call at once.
class Loopback {
  #replies = [];
  #onFrames;

  constructor(onFrames) {
    this.#onFrames = onFrames;
  }

  hold() {}

  sendAll(texts) {
    for (const text of texts) {
      const { id } = JSON.parse(encode(text).toString("utf8", 4));
      this.#replies.push(id % 9 ? { id, value: { step: id } } : { id, error: REFUSED });
    }
    setImmediate(this.#onFrames);
  }

  next() {
    return this.#replies.shift() ?? null;
  }
}

// Run the job's script and send how it ended, once; nothing of it runs after that.
function serve(job, channel, output) {
  const namespaces = Object.keys(job.tools);
  const end = (frame) => {
    output.flush();
    channel.send(frame);
    for (;;) Atomics.wait(forever, 0, 0); // the host ends this process
  };
  const fail = (error) => end(failed(describe(error, namespaces)));
  const caller = new Caller(channel, output, job.limits, fail);
  const { tools, callTool } = makeTools(job.tools, caller);
  channel.onFrames = () => caller.takeReplies();
  channel.hold(false);
  output.install();
  for (const name of NOT_THERE) delete globalThis[name];
  process.exit = (code = 0) => {
    if (code) fail(new Ended(`The script ended itself with exit code ${code}`));
    end(done(undefined, job.limits.result_bytes));
  };
  process.on("uncaughtException", fail);
  process.on("beforeExit", () => fail(new Ended("The script awaits something that never happens")));
  clock.setRun(job.seed, job.started_at);
  Object.assign(globalThis, { tools, callTool, ToolError, require: requireOwn });
  run(job, tools, callTool).then(end, fail);
}

// Node's own modules, as far as they need neither network nor processes.
function requireOwn(name) {
  const found = process.getBuiltinModule(name);
  if (found === undefined) {
    throw new Ended(`Cannot find module '${name}': there are only Node's own, and no packages`);
  }
  return found;
}

async function run(job, tools, callTool) {
  const value = await compile(job.code)(tools, callTool, ToolError);
  return done(value, job.limits.result_bytes);
}

function done(value, most) {
  let text = "";
  try {
    text = toJSON(value, "result");
  } catch (error) {
    if (!(error instanceof NotJSON)) throw error;
    return failed(plain("not_json", error.message));
  }
  const size = Buffer.byteLength(text);
  if (size <= most) return `{"t":"done","ok":true,"value":${text}}`;
  return failed(
    plain(
      "output_too_large",
      `The result has ${size} bytes as JSON, the limit is ${most}: return fewer rows or fields`,
    ),
  );
}

function plain(code, message) {
  return { code, message, line: null, step: 0, suggestions: [] };
}

function failed(error) {
  return `{"t":"done","ok":false,"error":${JSON.stringify(error)}}`;
}

main();
