// One request on its way through the bridge.

/** @typedef {import("./instance.mjs").Instance} Instance */

/**
 * How often a request that waits wakes Go, in milliseconds: what Go's timers are late by. Each time costs CPU time, which a
 * plan may bound, so it becomes rarer the longer a request has waited: a quarter of that, up to the most.
 */
const TICK = 20;
const MOST = 250;

/** How long after its answer a request may keep Go going, in milliseconds: the platform's 30 s, less a margin. */
const AFTERWARDS = 29000;

export class Call {
  /**
   * @param {Request} request
   * @param {unknown} env
   * @param {ExecutionContext} ctx
   */
  constructor(request, env, ctx) {
    this.request = request;
    this.env = env;
    this.ctx = ctx;
    this.id = 0;
    this.pending = 0; // effects under way on its account
    this.background = false; // whether it has begun work that outlives it
    /** @type {Uint8Array | null | undefined} the answer; null when Go has failed */
    this.answer = undefined;
    /** @type {((value?: unknown) => void) | undefined} */
    this.answered = undefined;
    /** @type {(() => void)[]} */
    this.handed = [];
    /** @type {((value?: unknown) => void) | undefined} */
    this.nudge = undefined;
    this.tick = TICK;
    this.beat = 0;
  }

  /** @param {Uint8Array | null} answer */
  settle(answer) {
    this.answer = answer;
    this.answered?.();
  }

  /** Whether this request's own loop is running, so that it can be handed work. */
  alive() {
    return Date.now() - this.beat < 10 * TICK + this.tick;
  }

  /**
   * Gives this request something to do in its own context: objects of one
   * request must not be touched from another.
   * @param {() => void} job
   */
  hand(job) {
    this.handed.push(job);
    this.nudge?.();
  }

  /**
   * Waits for an answer that was not there at once.
   * @param {Instance} instance
   */
  async wait(instance) {
    const { promise, resolve } = Promise.withResolvers();
    this.answered = resolve;
    this.request.signal.addEventListener("abort", () => instance.cancel(this));
    this.ctx.waitUntil(this.keep(instance));
    await promise;
  }

  /**
   * Wakes Go now and then while this request has no answer, has effects under
   * way, or has begun work that outlives it. A timer of its own is what
   * lets a request wait for another's promise: without one the platform
   * takes it for hung, and a timer of a request that has ended never fires.
   * @param {Instance} instance
   */
  async keep(instance) {
    const begun = Date.now();
    let until = 0;
    for (;;) {
      this.beat = Date.now();
      this.tick = Math.min(Math.max(TICK, (this.beat - begun) / 4), MOST);
      if (this.answer !== undefined) {
        until ||= this.beat + AFTERWARDS;
        if (this.pending === 0 && !(this.background && instance.busy > 0)) break;
        if (this.beat > until) break;
      }
      const nudged = new Promise((resolve) => {
        this.nudge = resolve;
      });
      if (this.handed.length === 0) await Promise.race([scheduler.wait(this.tick), nudged]);
      if (instance.dead) break;
      const handed = this.handed;
      this.handed = [];
      for (const job of handed) job();
      const since = Date.now() - instance.lastRun;
      if (since >= TICK / 2 || since < 0) instance.tick(this); // a clock may be set back
    }
    this.beat = 0;
  }
}
