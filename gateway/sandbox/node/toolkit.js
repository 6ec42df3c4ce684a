"use strict";
// The `tools` object that scripts use, and the calls behind it.

const { closest } = require("./closest.js");
const { FILENAME } = require("./script.js");
const { toJSON } = require("./values.js");

const stringify = JSON.stringify;
const steps = new WeakMap();

// A tool call failed; scripts may catch it.
class ToolError extends Error {
  constructor(code, message = "", retryable = false, tool = "", suggestions = [], details = {}) {
    super(message || code);
    this.code = code;
    this.retryable = retryable;
    this.tool = tool;
    this.suggestions = suggestions;
    this.details = details;
  }
}
Object.defineProperty(ToolError.prototype, "name", { value: "ToolError" });

// Ends the run, whatever the script catches.
class LimitReached extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// A tool or namespace that is not there; knows names that look like it.
class Missing extends TypeError {
  constructor(message, suggestions) {
    super(message);
    this.suggestions = suggestions;
  }
}
Object.defineProperty(Missing.prototype, "name", { value: "TypeError" });

// The step whose reply an error is, 0 for one that the script made.
function stepOf(error) {
  return steps.get(error) ?? 0;
}

// Numbers calls in the order made, sends what fits in flight, hands replies back.
class Caller {
  #channel;
  #output;
  #limits;
  #end;
  #made = 0;
  #steps = 0;
  #queued = [];
  #waiting = new Map();
  #isPlanned = false;

  constructor(channel, output, limits, end) {
    this.#channel = channel;
    this.#output = output;
    this.#limits = limits;
    this.#end = end;
  }

  call(tool, given) {
    const text = toJSON(given ?? {}, "arguments");
    const site = new Error();
    this.#check(tool, text, site);
    return new Promise((resolve, reject) => {
      this.#queued.push({ tool, text, site, resolve, reject });
      this.#plan();
    });
  }

  #check(tool, text, site) {
    const { calls, message_bytes: most } = this.#limits;
    const size = Buffer.byteLength(text);
    let error = null;
    if (size > most - 1_024) {
      error = new LimitReached(
        "message_too_large",
        `The arguments of ${tool} have ${size} bytes, the limit is ${most}: ` +
          "send less, or in several calls",
      );
    } else if (this.#made >= calls) {
      error = new LimitReached(
        "too_many_calls",
        `The script made more than ${calls} tool calls: use tools that take lists, ` +
          "or split the work into several runs",
      );
    }
    if (error !== null) {
      error.stack = site.stack;
      this.#end(error);
    }
    this.#made += 1;
  }

  // When all microtasks are done: calls made together go out together.
  #plan() {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#sendQueued();
    });
  }

  #sendQueued() {
    const frames = [];
    this.#output.flush();
    while (this.#queued.length && this.#waiting.size < this.#limits.calls_in_flight) {
      const call = this.#queued.shift();
      const alone = !this.#waiting.size && !this.#queued.length && !isBusy();
      this.#waiting.set(++this.#steps, call);
      frames.push(frame(this.#steps, call, alone));
    }
    if (frames.length) {
      this.#channel.hold(true);
      this.#channel.sendAll(frames);
    }
  }

  // One reply at a time, with all that follows from it done before the next: so the
  // order of replies alone decides how later calls are numbered.
  takeReplies() {
    if (this.#isPlanned) {
      setImmediate(() => this.takeReplies());
      return;
    }
    const reply = this.#channel.next();
    if (reply === null) return;
    const call = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (!this.#waiting.size) this.#channel.hold(false);
    settle(call, reply);
    setImmediate(() => {
      this.#sendQueued();
      this.takeReplies();
    });
  }
}

// Whether the script waits for something beside its calls, such as a timer.
function isBusy() {
  return process.getActiveResourcesInfo().some((kind) => kind !== "PipeWrap" && kind !== "Immediate");
}

function frame(step, { tool, text }, alone) {
  const head = `{"t":"call","id":${step},"tool":${stringify(tool)}`;
  return `${head},"alone":${alone},"arguments":${text}}`;
}

function settle({ tool, site, resolve, reject }, reply) {
  if (reply.error === undefined) {
    resolve(reply.value);
    return;
  }
  const { code, message, retryable, suggestions, details } = reply.error;
  const error = new ToolError(code, message, retryable, tool, suggestions, details);
  // the place of the call: the reply itself comes from nowhere in the script
  const frames = String(site.stack).split("\n").filter((line) => line.includes(FILENAME));
  const stack = [String(error), ...frames].join("\n");
  Object.defineProperty(error, "stack", { value: stack, writable: true });
  steps.set(error, reply.id);
  reject(error);
}

// `list_orders` is `listOrders` to scripts; as gateway/codemode/typescript.py has it.
function camelCase(name) {
  const [head, ...rest] = name.split("_").filter(Boolean);
  if (head === undefined) return "tool";
  const upper = (part) => part[0].toUpperCase() + part.slice(1);
  return head[0].toLowerCase() + head.slice(1) + rest.map(upper).join("");
}

// An object whose unknown names throw with names that are close.
function strict(name, known) {
  const shown = Object.keys(known);
  return new Proxy(Object.freeze(known), {
    get(target, key) {
      if (typeof key === "symbol" || key in target) return target[key];
      if (["then", "toJSON", "constructor"].includes(key)) return undefined;
      const close = closest(key, shown).map((one) => `${name}.${one}`);
      throw new Missing(`${name} has no '${key}'`, close);
    },
  });
}

function toolFunction(shown, tool, caller) {
  return (...given) => {
    const [first] = given;
    const isNamed = first === undefined || (first !== null && typeof first === "object" && !Array.isArray(first));
    if (given.length > 1 || !isNamed) {
      throw new TypeError(`${shown} takes one object of named arguments: ${shown}({name: value})`);
    }
    return caller.call(tool, first);
  };
}

// The `tools` object and `callTool`.
function makeTools(functions, caller) {
  const namespaces = Object.create(null);
  for (const [namespace, names] of Object.entries(functions)) {
    const known = Object.create(null);
    for (const [name, tool] of Object.entries(names)) {
      const alias = camelCase(name);
      const shown = `tools.${namespace}.${alias}`;
      const call = toolFunction(shown, tool, caller);
      known[name] = call;
      if (!(alias in names)) known[alias] ??= call;
    }
    namespaces[namespace] = strict(`tools.${namespace}`, known);
  }
  const callTool = (tool, given) => {
    if (typeof tool !== "string") {
      throw new TypeError('use callTool("server.tool", {name: value})');
    }
    return toolFunction(`callTool("${tool}")`, tool, caller)(given);
  };
  return { tools: strict("tools", namespaces), callTool };
}

module.exports = { Caller, LimitReached, Missing, ToolError, makeTools, stepOf };
