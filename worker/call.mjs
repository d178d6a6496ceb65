// One request on its way through the bridge.

/** @typedef {import("./instance.mjs").Instance} Instance */
/** @typedef {import("./codec.mjs").Frame} Frame */

/**
 * How often a waiting request wakes Go, in milliseconds. Go's timers are late by as much. Each
 * wake-up costs CPU time, which the platform bounds, so the interval grows with the wait: it is a
 * quarter of the wait, at least TICK and at most MAX_TICK.
 */
const TICK = 20;
const MAX_TICK = 250;

/**
 * How long after its answer a request may keep Go awake, in milliseconds: the platform's 30 s, less
 * a margin.
 */
const AFTER_ANSWER = 29000;

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
    this.background = false; // whether it has begun work that goes on after its answer
    /** @type {Frame | null | undefined} the answer; null when Go or the handler has failed */
    this.answer = undefined;
    /** @type {((value?: unknown) => void) | undefined} */
    this.answered = undefined;
    /** @type {(() => void)[]} work for this request's own context */
    this.jobs = [];
    /** @type {((value?: unknown) => void) | undefined} ends the loop's wait early */
    this.wake = undefined;
    this.tick = TICK;
    this.lastTurn = 0; // Date.now() of the loop's last turn; 0 while it does not run
  }

  /** @param {Frame | null} answer */
  settle(answer) {
    this.answer = answer;
    this.answered?.();
  }

  /** Reports whether this request's own loop is running, so that it can do a job. */
  alive() {
    return Date.now() - this.lastTurn < 10 * TICK + this.tick;
  }

  /**
   * Runs a job in this request's own context: the objects of one request must not be used by
   * another.
   * @param {() => void} job
   */
  run(job) {
    this.jobs.push(job);
    this.wake?.();
  }

  /**
   * Waits for the answer.
   * @param {Instance} instance
   */
  async wait(instance) {
    const { promise, resolve } = Promise.withResolvers();
    this.answered = resolve;
    this.request.signal.addEventListener("abort", () => instance.cancel(this));
    this.ctx.waitUntil(this.keepAwake(instance));
    await promise;
  }

  /**
   * Wakes Go from time to time while this request has no answer, has effects under way, or has
   * begun background work. The request needs this timer of its own: without one, the platform takes
   * a request that waits for another's promise for hung, and the timer of a request that has ended
   * never fires.
   * @param {Instance} instance
   */
  async keepAwake(instance) {
    const begun = Date.now();
    let until = 0;
    for (;;) {
      this.lastTurn = Date.now();
      this.tick = Math.min(Math.max(TICK, (this.lastTurn - begun) / 4), MAX_TICK);
      if (this.answer !== undefined) {
        until ||= this.lastTurn + AFTER_ANSWER;
        if (this.pending === 0 && !(this.background && instance.busy > 0)) break;
        if (this.lastTurn > until) break;
      }
      const woken = new Promise((resolve) => {
        this.wake = resolve;
      });
      if (this.jobs.length === 0) await Promise.race([scheduler.wait(this.tick), woken]);
      if (instance.dead) break;
      const jobs = this.jobs;
      this.jobs = [];
      for (const job of jobs) job();
      const since = Date.now() - instance.lastRun;
      if (since >= TICK / 2 || since < 0) instance.tick(this); // a clock may be set back
    }
    this.lastTurn = 0;
  }
}
