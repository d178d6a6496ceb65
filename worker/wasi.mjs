// The part of WASI preview 1 that Go's runtime calls. Every other function that a module imports
// returns "bad file descriptor": there are no files.

import { decodeText, encodeText } from "./codec.mjs";

const OK = 0;
const BADF = 8;
const NOTSUP = 58;

/**
 * The time while a Worker starts: 2026-01-01. The platform's clock says 0 then, which Go refuses.
 * Real time is later, so no clock goes back.
 */
const STARTING = 1767225600000;

/** How many random bytes are fetched at once. */
const POOL = 4096;

/** How much of a program's output is kept for one log line, in characters. */
const MAX_OUTPUT = 16384;

/** proc_exit throws it: a Go program that exits leaves its instance unusable. */
export class Exit extends Error {
  /** @param {number} code */
  constructor(code) {
    super(`Go exited with code ${code}`);
    this.name = "Exit";
  }
}

export class Wasi {
  /**
   * @param {Record<string, string>} env
   * @param {boolean} starting whether this is a Worker's global scope, which has neither randomness
   *   nor time
   */
  constructor(env, starting) {
    this.env = Object.entries(env).map(([name, value]) => encodeText(`${name}=${value}\0`));
    this.starting = starting;
    this.warmingUp = false; // whether Go keeps nothing of what it draws now
    /** @type {WebAssembly.Memory | undefined} */
    this.memory = undefined;
    this.seeds = 0;
    this.output = "";
    this.time = 0; // what the clock said last, in microseconds
    this.pool = new Uint8Array(POOL); // random bytes, wiped as they are used
    this.drawn = POOL; // of these
    this.words = new Uint32Array(0); // a view of the memory; it is emptied when the memory grows
  }

  /** Call it with the first request: now there is time and randomness. */
  begin() {
    this.starting = false;
  }

  view() {
    return new DataView(this.#memory().buffer);
  }

  #memory() {
    if (!this.memory) throw new Error("worker: WASI before memory");
    return this.memory;
  }

  /** Returns what the program wrote to its output since the last call. */
  takeOutput() {
    const output = this.output;
    this.output = "";
    return output;
  }

  /**
   * Returns the imports of a module.
   * @param {WebAssembly.Module} module
   */
  imports(module) {
    /** @type {Record<string, Function>} */
    const functions = {
      args_sizes_get: (/** @type {number} */ count, /** @type {number} */ size) => this.#sizes([], count, size),
      args_get: () => OK,
      environ_sizes_get: (/** @type {number} */ count, /** @type {number} */ size) =>
        this.#sizes(this.env, count, size),
      environ_get: this.#environGet.bind(this),
      clock_time_get: this.#clockTimeGet.bind(this),
      random_get: this.#randomGet.bind(this),
      fd_write: this.#fdWrite.bind(this),
      fd_fdstat_get: () => BADF,
      fd_prestat_get: () => BADF,
      poll_oneoff: this.#pollOneoff.bind(this),
      sched_yield: () => OK,
      proc_exit: (/** @type {number} */ code) => {
        throw new Exit(code);
      },
    };
    /** @type {Record<string, Function>} */
    const wanted = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      if (from === "wasi_snapshot_preview1") wanted[name] = functions[name] ?? (() => BADF);
    }
    return wanted;
  }

  /**
   * @param {Uint8Array[]} list
   * @param {number} count
   * @param {number} size
   */
  #sizes(list, count, size) {
    const view = this.view();
    view.setUint32(count, list.length, true);
    view.setUint32(
      size,
      list.reduce((sum, item) => sum + item.length, 0),
      true,
    );
    return OK;
  }

  /**
   * @param {number} pointers
   * @param {number} at
   */
  #environGet(pointers, at) {
    const bytes = new Uint8Array(this.#memory().buffer);
    const view = this.view();
    for (const item of this.env) {
      bytes.set(item, at);
      view.setUint32(pointers, at, true);
      pointers += 4;
      at += item.length;
    }
    return OK;
  }

  /**
   * One clock for both of Go's. It never goes back and advances with each call: the platform's
   * stands still while code runs, and Go may wait for it in a loop.
   * @param {number} _clock
   * @param {bigint} _precision
   * @param {number} at
   */
  #clockTimeGet(_clock, _precision, at) {
    const time = Math.max((this.starting ? STARTING : Date.now()) * 1000, this.time + 1);
    this.time = time;
    // In nanoseconds it has 61 bits, and a BigInt would be slow.
    const upper = Math.floor(time / 0x400000) * 1000;
    const low = (upper % 0x400) * 0x400000 + (time % 0x400000) * 1000;
    if (this.words.length === 0) this.words = new Uint32Array(this.#memory().buffer);
    this.words[at >>> 2] = low;
    this.words[(at >>> 2) + 1] = Math.floor(upper / 0x400) + Math.floor(low / 0x100000000);
    return OK;
  }

  /**
   * While a Worker starts, the platform has no randomness. Then Go's runtime gets constant bytes
   * for the seeds of its maps, which it draws once. A warm-up gets zeros, because nothing that is
   * drawn in it is kept. Any other call is refused, because every isolate would draw the same.
   * @param {number} at
   * @param {number} length
   */
  #randomGet(at, length) {
    const bytes = new Uint8Array(this.#memory().buffer, at, length);
    if (!this.starting) {
      for (let i = 0; i < length; i++) bytes[i] = this.#randomByte();
      return OK;
    }
    if (this.warmingUp) {
      bytes.fill(0);
      return OK;
    }
    if (this.seeds++ > 0) return NOTSUP;
    for (let i = 0; i < length; i++) bytes[i] = (i * 167 + 89) & 0xff;
    return OK;
  }

  /** A call of crypto.getRandomValues for each number costs more than the bytes do. */
  #randomByte() {
    if (this.drawn === POOL) {
      crypto.getRandomValues(this.pool);
      this.drawn = 0;
    }
    const byte = this.pool[this.drawn];
    this.pool[this.drawn++] = 0;
    return byte;
  }

  /**
   * @param {number} fd
   * @param {number} vectors
   * @param {number} count
   * @param {number} written
   */
  #fdWrite(fd, vectors, count, written) {
    if (fd !== 1 && fd !== 2) return BADF;
    const view = this.view();
    let total = 0;
    for (let i = 0; i < count; i++) {
      const at = view.getUint32(vectors + 8 * i, true);
      const length = view.getUint32(vectors + 8 * i + 4, true);
      if (this.output.length < MAX_OUTPUT) {
        this.output += decodeText(new Uint8Array(view.buffer, at, length).slice());
      }
      total += length;
    }
    view.setUint32(written, total, true);
    return OK;
  }

  /**
   * Go's scheduler waits with this when no goroutine is ready, which the bridge prevents. Every
   * wait ends at once.
   * @param {number} subscriptions
   * @param {number} events
   * @param {number} count
   * @param {number} happened
   */
  #pollOneoff(subscriptions, events, count, happened) {
    const view = this.view();
    for (let i = 0; i < count; i++) {
      const event = events + 32 * i;
      new Uint8Array(view.buffer, event, 32).fill(0);
      view.setBigUint64(event, view.getBigUint64(subscriptions + 48 * i, true), true);
      view.setUint8(event + 10, view.getUint8(subscriptions + 48 * i + 8));
    }
    view.setUint32(happened, count, true);
    return OK;
  }
}
