// The part of WASI preview 1 that Go's runtime calls. Everything else that the
// module imports answers "bad file descriptor": there are no files here.

import { decodeText, encodeText } from "./codec.mjs";

const OK = 0;
const BADF = 8;
const NOTSUP = 58;

/**
 * What Date.now() is taken to be while a Worker starts, when the platform says
 * 0 and Go refuses that: 2026-01-01. Real time is later, so no clock goes back.
 */
const STARTING = 1767225600000;

/** The most of a program's standard error that is kept for one log line, in characters. */
const MAX_OUTPUT = 16384;

/** Thrown out of proc_exit: a Go program that exits leaves its instance unusable. */
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
   * @param {boolean} starting whether this is a Worker's global scope, where
   *   there is neither randomness nor time
   */
  constructor(env, starting) {
    this.env = Object.entries(env).map(([name, value]) => encodeText(`${name}=${value}\0`));
    this.starting = starting;
    this.rehearsing = false; // whether Go has said that nothing which it draws now is kept
    /** @type {WebAssembly.Memory | undefined} */
    this.memory = undefined;
    this.seeds = 0;
    this.output = "";
    this.told = 0n; // the last time that was told, in nanoseconds
  }

  /** The first request has come: time and randomness are there. */
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

  /** What the program wrote to its output since the last call. */
  takeOutput() {
    const output = this.output;
    this.output = "";
    return output;
  }

  /**
   * The imports of a module.
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
   * One clock for both of Go's, which never goes back and always gets on: the
   * platform's stands still while code runs, and Go may wait for it in a loop.
   * @param {number} _clock
   * @param {bigint} _precision
   * @param {number} at
   */
  #clockTimeGet(_clock, _precision, at) {
    const now = BigInt(this.starting ? STARTING : Date.now()) * 1000000n;
    this.told = now > this.told ? now : this.told + 1000n;
    this.view().setBigUint64(at, this.told, true);
    return OK;
  }

  /**
   * While a Worker starts, the platform has no randomness. Go's runtime then
   * gets constant bytes for the seeds of its maps, which it draws once, and a rehearsal
   * gets zeros, as nothing that is drawn in it is kept; whoever else draws is refused, because every isolate would
   * draw the same.
   * @param {number} at
   * @param {number} length
   */
  #randomGet(at, length) {
    const bytes = new Uint8Array(this.#memory().buffer, at, length);
    if (!this.starting) {
      for (let i = 0; i < length; i += 65536) crypto.getRandomValues(bytes.subarray(i, i + 65536));
      return OK;
    }
    if (this.rehearsing) {
      bytes.fill(0);
      return OK;
    }
    if (this.seeds++ > 0) return NOTSUP;
    for (let i = 0; i < length; i++) bytes[i] = (i * 167 + 89) & 0xff;
    return OK;
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
   * Go's scheduler asks this only when it has nothing to do, which the bridge
   * never lets happen: every wait of which is told as over at once.
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
