// One running Go program, and what is under way between it and the platform.

import { FRAME_HEAD, MESSAGE_HEAD, UNKNOWN_LENGTH } from "./codec.mjs";
import { decodeAnswer, decodeFrame, decodeText, encodeInto, encodeText } from "./codec.mjs";
import { READ_BODY, Task, effects, reason } from "./effects.mjs";
import { Wasi } from "./wasi.mjs";

/** The version of the bridge, which Go must have too: mailbox.version. */
const ABI = 3;

/** @typedef {import("./call.mjs").Call} Call */

/**
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {() => void} _initialize
 * @property {() => number} worker_open
 * @property {(size: number) => void} worker_reserve
 * @property {(id: number, size: number) => number} worker_start
 * @property {(id: number, ok: number, size: number) => number} worker_resolve
 * @property {(id: number) => number} worker_cancel
 * @property {() => number} worker_tick
 */

export class Instance {
  /**
   * Starts a Go program.
   * @param {WebAssembly.Module} module
   * @param {Record<string, string>} env the variables that Go sees
   * @param {boolean} starting whether this is the Worker's global scope
   */
  constructor(module, env, starting) {
    this.dead = false;
    this.running = false;
    this.lastRun = 0; // Date.now() of the last time that Go ran
    this.lastID = 0;
    this.lastBusy = 0; // background jobs when Go last ran
    /** @type {Map<number, Call>} requests without an answer */
    this.open = new Map();
    /** @type {Map<number, Task>} effects under way */
    this.tasks = new Map();
    /** @type {CryptoKey[]} */
    this.keys = [];
    this.wasi = new Wasi(env, starting);
    const instance = new WebAssembly.Instance(module, {
      wasi_snapshot_preview1: /** @type {any} */ (this.wasi.imports(module)),
      worker: {
        log: this.#log.bind(this),
        warm_up: (/** @type {number} */ on) => {
          this.wasi.warmingUp = on !== 0;
        },
      },
    });
    this.go = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
    this.memory = this.go.memory;
    this.wasi.memory = this.memory;
    this.bytes = new Uint8Array(0);
    this.words = new Uint32Array(0);
    this.mailbox = 0; // its address, in words
    try {
      this.go._initialize();
      this.mailbox = this.go.worker_open() >>> 2;
    } catch (error) {
      this.#explain("the Go program did not start", error);
      throw error;
    }
    this.#flush();
    this.#look();
    if (this.words[this.mailbox] !== ABI) throw new Error("worker: the module has another version of the bridge");
    this.maxMemory = this.words[this.mailbox + 5];
    /** The headers that the handler reads; none means all. */
    this.headers = decodeFrame(this.bytes.subarray(this.words[this.mailbox + 1])).fields;
  }

  /** How many background jobs the Go program has. */
  get busy() {
    return this.words[this.mailbox + 4];
  }

  /** Reports whether it can serve a new request: it is alive, and its memory is within its bound. */
  usable() {
    if (this.running) this.#cutOff();
    return !this.dead && this.memory.buffer.byteLength <= this.maxMemory;
  }

  /** The platform stopped Go in the middle of a call. Its state cannot be trusted. */
  #cutOff() {
    this.fail(new Error("Go was cut off in the middle of a request"));
  }

  /**
   * Begins a request. Its answer may be there on return.
   * @param {Call} call
   */
  start(call) {
    if (this.wasi.starting) this.wasi.begin();
    const { request } = call;
    const head = this.#head(request);
    const length = bodyLength(request);
    do this.lastID = (this.lastID + 1) >>> 0;
    while (this.lastID === 0 || this.open.has(this.lastID));
    call.id = this.lastID;
    this.open.set(call.id, call);
    if (!this.#enter()) return;
    let size = 0;
    try {
      this.#room(FRAME_HEAD + 3 * head.length);
      const at = this.words[this.mailbox + 2];
      size = encodeInto(head, this.bytes.subarray(at + FRAME_HEAD, at + FRAME_HEAD + 3 * head.length));
      this.words[at >>> 2] = length;
      this.words[(at >>> 2) + 1] = size;
      size = this.go.worker_start(call.id, FRAME_HEAD + size);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#leave(size, call);
  }

  /**
   * Tells Go that a request's client has gone.
   * @param {Call} call
   */
  cancel(call) {
    if (!this.open.has(call.id) || !this.#enter()) return;
    let size = 0;
    try {
      size = this.go.worker_cancel(call.id);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#leave(size, call);
  }

  /**
   * Lets Go's timers fire.
   * @param {Call} call on whose account
   */
  tick(call) {
    if (!this.#enter()) return;
    let size = 0;
    try {
      size = this.go.worker_tick();
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#leave(size, call);
  }

  /**
   * Performs an effect on a call's account and gives Go the result.
   * @param {Call} call
   * @param {number} kind
   * @param {number} id
   * @param {number} owner
   * @param {Uint8Array} payload
   */
  async perform(call, kind, id, owner, payload) {
    call.pending++;
    let ok = 1;
    /** @type {Uint8Array} */
    let result;
    const task = new Task(payload, call.request, call.id === owner, call.env, this.keys);
    this.tasks.set(id, task);
    try {
      const effect = effects[kind];
      if (!effect) throw new Error("unknown effect");
      result = await effect(task);
    } catch (error) {
      ok = 0;
      result = encodeText(reason(error));
    }
    call.pending--;
    // An aborted effect's id may already be another's.
    if (this.tasks.get(id) !== task) return;
    this.tasks.delete(id);
    if (!this.#enter()) return;
    let size = 0;
    try {
      this.#room(result.length);
      this.bytes.set(result, this.words[this.mailbox + 2]);
      size = this.go.worker_resolve(id, ok, result.length);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#leave(size, call);
  }

  /**
   * Marks the instance as unusable. Every open request gets the bridge's own answer.
   * @param {unknown} error
   */
  fail(error) {
    if (this.dead) return;
    this.dead = true;
    this.#explain("the Go program failed", error);
    const open = [...this.open.values()];
    this.open.clear();
    this.tasks.clear();
    for (const call of open) call.settle(null);
  }

  /** Call it before every call into Go. It reports whether the call is possible. */
  #enter() {
    if (this.dead) return false;
    if (this.running) {
      this.#cutOff();
      return false;
    }
    this.running = true;
    this.#look();
    return true;
  }

  /**
   * Call it after every call into Go.
   * @param {number} size of the outbox
   * @param {Call} call
   */
  #leave(size, call) {
    this.running = false;
    this.lastRun = Date.now();
    if (this.wasi.output !== "") this.#flush();
    this.#look();
    const busy = this.words[this.mailbox + 4];
    if (busy > this.lastBusy) call.background = true;
    this.lastBusy = busy;
    const start = this.words[this.mailbox + 1];
    for (let at = start; at < start + size; ) {
      const word = at >>> 2;
      const kind = this.words[word];
      const id = this.words[word + 1];
      const owner = this.words[word + 2];
      const length = this.words[word + 3];
      const payload = this.bytes.subarray(at + MESSAGE_HEAD, at + MESSAGE_HEAD + length);
      at += (MESSAGE_HEAD + length + 3) & ~3;
      this.#message(call, kind, id, owner, payload);
    }
  }

  /**
   * @param {Call} call
   * @param {number} kind
   * @param {number} id
   * @param {number} owner
   * @param {Uint8Array} message in Go's memory
   */
  #message(call, kind, id, owner, message) {
    switch (kind) {
      case 1: {
        const answered = this.open.get(id);
        this.open.delete(id);
        answered?.settle(message.length > 0 ? decodeAnswer(message) : null);
        return;
      }
      case 2: {
        const task = this.tasks.get(id);
        this.tasks.delete(id);
        task?.stop?.();
        return;
      }
    }
    // The owner performs its effects itself if it still can: they count against its limits and end
    // with it. Only the owner can read its body.
    const payload = message.slice();
    const by = owner === call.id ? call : this.open.get(owner);
    if (by && by !== call && (kind === READ_BODY || by.alive())) {
      by.run(() => this.perform(by, kind, id, owner, payload));
    } else {
      this.perform(call, kind, id, owner, payload);
    }
  }

  /**
   * Returns a request's head: method, URL, and the headers that the handler reads.
   * @param {Request} request
   */
  #head(request) {
    let head = request.method + "\0" + request.url + "\0";
    const { headers } = request;
    if (this.headers.length === 0) {
      for (const [name, value] of headers) head += name + "\0" + value + "\0";
    }
    for (const name of this.headers) {
      const value = headers.get(name);
      if (value !== null) head += name + "\0" + value + "\0";
    }
    return head;
  }

  /**
   * Makes room in the buffer that Go reads from.
   * @param {number} size
   */
  #room(size) {
    if (size <= this.words[this.mailbox + 3]) return;
    this.go.worker_reserve(size);
    this.#look();
  }

  /** Renews the views of a memory that has grown: they are empty then. */
  #look() {
    if (this.bytes.length > 0) return;
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Uint32Array(this.memory.buffer);
  }

  /**
   * Logs a record of the Go program.
   * @param {number} level
   * @param {number} at
   * @param {number} length
   */
  #log(level, at, length) {
    this.#look();
    const line = decodeText(this.bytes.subarray(at, at + length));
    let record;
    try {
      record = JSON.parse(line);
    } catch {
      record = { msg: line }; // an exception would pass through Go
    }
    if (level >= 8) console.error(record);
    else if (level >= 4) console.warn(record);
    else if (level >= 0) console.log(record);
    else console.debug(record);
  }

  /** Logs what the program wrote to its standard output and error. */
  #flush() {
    const output = this.wasi.takeOutput();
    if (output) console.error({ level: "ERROR", msg: "output of the Go program", output });
  }

  /**
   * @param {string} msg
   * @param {unknown} error
   */
  #explain(msg, error) {
    console.error({ level: "ERROR", msg, error: String(error), output: this.wasi.takeOutput() });
  }
}

/**
 * Returns the length of a request's body, as far as it is known. The body itself is used last,
 * because each object that the platform makes costs microseconds.
 * @param {Request} request
 */
function bodyLength(request) {
  if (request.method === "GET" || request.method === "HEAD") return 0;
  const given = request.headers.get("content-length");
  if (given !== null) return Math.min(Number(given) || 0, UNKNOWN_LENGTH - 1);
  return request.body ? UNKNOWN_LENGTH : 0;
}
