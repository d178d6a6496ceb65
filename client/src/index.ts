/*
 * coze-token-client: Coze tokens from a coze-token service. docs/page.md shows its use.
 *
 * A token source has one token at a time, shares one request among all who ask, and renews the token
 * before it ends. It starts no timer while nobody asks.
 */
import {
  now, elapsed, sleep, within, inClient, miniProgram, send, memory, login, unreachable, type Answer,
} from './platform';

/** What a token source needs. */
export interface Options {
  /** The service, or a path of your own backend. One of several apps has its own: `https://token.example.com/shop`. */
  url: string;
  /**
   * The token of the user's login. It is asked for with each request, and once more after a 401, with the
   * one that was refused. Nothing, or an empty text, means that nobody is logged in: a visitor.
   */
  credential?: (refused?: string) => string | null | undefined | Promise<string | null | undefined>;
  /** The proof of a Turnstile widget. It is asked for only when the service wants one. */
  challenge?: () => string | Promise<string>;
  /** Send cookies to another origin: visitors of the same site, Cloudflare Access, a login of your backend's. */
  cookies?: boolean;
  /** An API key. On servers only. */
  apiKey?: string;
  /** Your end user, with `apiKey` or where the service is open to all. What is not plain ASCII is percent-encoded. */
  user?: string;
  /** WeChat's login (`wx.login`). Not set: in a mini program, if the service takes it and lets nobody in without. */
  wechat?: boolean;
  /** Where a visitor's ticket is kept. Not set: `localStorage`, or a mini program's storage. */
  storage?: TicketStorage;
  /** Replaces `fetch`. */
  fetch?: Fetch;
  /** A mini program's request function: `Taro.request`. `wx.request` and `uni.request` are found without it. */
  request?: MiniRequest;
  /** Called once for each request that failed, also if the token in hand is still good. */
  onError?: (error: Error) => void;
}

/** What one asker wants. */
export interface GetOptions {
  /** The token is to live for at least this many seconds, as far as the service can. */
  minTtl?: number;
  /** Ends this asker's wait, and no other's. */
  signal?: Signal;
}

/** Hands out tokens. Its functions need no `this`, so each can be handed on alone. */
export interface TokenSource {
  /** A good token. For `new CozeAPI({ token: tokens.get })`. */
  get: (options?: GetOptions) => Promise<string>;
  /** A token in place of one that Coze refused; `''` for the first. For the Chat SDK's `onRefreshToken`. */
  refresh: (refused?: string, options?: GetOptions) => Promise<string>;
  /** For `onBeforeAPICall` of `@coze/taro-api` and `@coze/uniapp-api`. */
  beforeCall: () => Promise<{ token: string }>;
  /** Forgets the token: after a user has logged in or out. */
  forget: () => void;
}

/** An `AbortSignal`, or what has its members. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** `localStorage`, or what has its members; they may be asynchronous. */
export interface TicketStorage {
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(key: string, value: string): unknown;
  removeItem(key: string): unknown;
}

/** `fetch`, as far as it is used. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; credentials?: 'include' },
) => Promise<{ status: number; headers: { get(name: string): string | null }; text(): Promise<string> }>;

/** `wx.request`, `uni.request`, `Taro.request` and their like. */
export type MiniRequest = (options: any) => unknown;

/** Why there is no token. */
export class TokenError extends Error {
  /** The HTTP status, 0 if there was no answer. */
  readonly status: number;
  /**
   * A word that does not change: the service's, or `offline`, `unreachable`, `timeout`, `not_json`, `no_token`,
   * `options`.
   */
  readonly code: string;
  /** What to do. */
  readonly hint: string;
  /** The id of the request in the service's log. */
  readonly requestId: string;
  /** In how many seconds it may be tried again, if that is known. */
  retryAfter?: number;
  /** What Coze said. */
  readonly upstream?: { status: number; code: string; message: string; logid: string };

  constructor(status: number, code: string, problem: string, hint = '', more: any = {}) {
    const about = code + (status ? ', status ' + status : '') + (more.request_id ? ', request ' + more.request_id : '');
    super(`${problem} (${about})${hint && '. ' + hint}`);
    this.name = 'TokenError';
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.requestId = more.request_id || '';
    this.upstream = more.upstream;
  }
}

const patience = 3; // seconds in which a request is repeated: Coze's Chat SDK waits no longer
const calm = 10; // seconds in which a refused token is replaced once, as the service does
const longest = 15; // seconds that an answer may take: the service's longest wait for Coze is 10 unless set

/** Makes a token source. It throws if the options cannot be right, and sends nothing yet. */
export function tokenSource(options: Options): TokenSource {
  const { url, credential, challenge, cookies, apiKey, user } = options;
  const wrong = (problem: string) => new TokenError(0, 'options', problem);
  if (!url) throw wrong('url is missing: the address of the token service');
  if (apiKey && inClient()) {
    throw wrong(
      'an API key is for servers: whoever opens this page can read it, and be any user. Ask through your backend',
    );
  }
  if (apiKey && credential) throw wrong('apiKey and credential exclude each other');

  const sameOrigin = !/^\w+:|^\/\//.test(url);
  const visitors = memory(options.storage, 'coze-token ' + url);
  const members = memory(options.storage, 'coze-token wechat ' + url);
  let wechat = options.wechat;

  let token = '';
  let ttl = 0;
  let since = now(); // when it was asked for
  let replaced: ReturnType<typeof now> | undefined; // when a refused one was last replaced
  let pending: Promise<void> | undefined; // the request under way
  let failure: TokenError | undefined; // the last request's
  let failed = since;
  let wait = 0; // seconds from then on
  let generation = 0;

  const left = () => (token ? ttl - elapsed(since) : 0);
  // How soon a token is too short, and how soon it is renewed while it is handed out.
  const short = () => Math.min(30, ttl / 10);
  const soon = () => Math.min(120, ttl / 5);

  /** Asks once, and says what came back. */
  async function once(
    stale: string,
    minTtl: number,
    state: { refused?: string; proof?: string; fresh?: boolean },
  ): Promise<Answer> {
    const headers: Record<string, string> = {};
    const known = apiKey || (credential && (await credential(state.refused)));
    // A ticket of an earlier start says that the service asked for a login then.
    if (wechat === undefined && (await members.get())) wechat = true;
    if (known) headers.Authorization = 'Bearer ' + known;
    else if (wechat) {
      const ticket = !state.fresh && (await members.get());
      if (ticket) headers['X-WeChat-Ticket'] = ticket;
      else headers['X-WeChat-Code'] = await login();
    } else if (!user) {
      const ticket = (await visitors.get()) || (cookies || sameOrigin ? '' : 'new');
      if (ticket) headers['X-Visitor-Ticket'] = ticket;
      if (state.proof) headers['X-Turnstile-Token'] = state.proof;
    }
    if (user) headers['X-User-ID'] = /[^!-~]|%/.test(user) ? encodeURIComponent(user) : user;
    let body: string | undefined;
    if (stale) {
      body = JSON.stringify({ stale_token: stale });
      // The type costs a page a preflight, which a login by cookie may not pass.
      if (sameOrigin || !cookies) headers['Content-Type'] = 'application/json';
    }
    const address = minTtl ? url + (url.indexOf('?') < 0 ? '?' : '&') + 'min_ttl=' + Math.ceil(minTtl) : url;
    const answer = await within(
      send(options, address, { method: 'POST', headers, body, ...(cookies && { credentials: 'include' }) }).catch(
        (error) => {
          throw unreachable(TokenError, url, error);
        },
      ),
      longest,
      () => new TokenError(0, 'timeout', `${url} has not answered for ${longest} seconds`),
    );
    const visitor = answer.header('X-Visitor-Ticket');
    if (visitor) await visitors.set(visitor);
    const member = answer.header('X-WeChat-Ticket');
    if (member) await members.set(member);
    if (answer.status === 401) await renew(answer, headers, state);
    return answer;
  }

  /** Gets another credential after a 401, if there is one to be had. state.again says so. */
  async function renew(answer: Answer, sent: Record<string, string>, state: any) {
    if (state.again !== undefined) return;
    state.again = true;
    const old = sent.Authorization;
    // The refusal names the ways in, and what is wrong with a ticket or a code.
    if (/X-WeChat-Code|"wechat_code_required"/.test(answer.text) && wechat !== false && !old && miniProgram()) {
      wechat = state.fresh = true;
    } else if (old && credential) {
      state.refused = old.slice(7);
    } else if (!old && !wechat && challenge) {
      await visitors.set('');
      state.proof = await challenge();
    } else if (sent['X-Visitor-Ticket'] && sent['X-Visitor-Ticket'] !== 'new') {
      await visitors.set('');
    } else {
      // A wrong cookie of a visitor's has been deleted by the answer.
      state.again = !old && !sent['X-Visitor-Ticket'] && /Visitor/.test(answer.header('WWW-Authenticate') || '');
    }
  }

  /** Asks until there is a token, or until it cannot be tried again in time. */
  async function attempt(stale: string, minTtl: number): Promise<any> {
    const began = now();
    const state: any = {};
    for (let tries = 0; ; ) {
      if (failure) {
        const pause = wait - elapsed(failed);
        if (pause > 0) {
          if (elapsed(began) + pause > patience) {
            failure.retryAfter = Math.ceil(pause);
            throw failure;
          }
          await sleep(Math.min(pause * (1 + Math.random() / 5), patience - elapsed(began)));
        }
      }
      const sent = now();
      let error: TokenError;
      try {
        const answer = await once(stale, minTtl, state);
        if (state.again) {
          state.again = false; // for the last time
          continue;
        }
        const body = read(answer);
        failure = undefined;
        return { token: body.access_token || body.token, ttl: body.ttl || 0, sent };
      } catch (e) {
        if (!temporary(e)) throw e;
        error = e as TokenError;
      }
      // 0.5 s, 1 s: with a third attempt, the patience is over.
      wait = error.retryAfter === undefined ? 2 ** tries++ / 2 : error.retryAfter;
      failure = error;
      failed = now();
    }
  }

  function read(answer: Answer): any {
    let body: any;
    try {
      body = JSON.parse(answer.text);
    } catch {}
    let error: TokenError | undefined;
    const { status } = answer;
    if (!body || typeof body !== 'object') {
      const page = /^\s*</.test(answer.text);
      error = new TokenError(status, 'not_json',
        `${url} answered with ${page ? 'a web page' : 'something'} that is no JSON`,
        'A proxy or another server may have answered: is this the address of the token service, to the letter?');
    } else if (status !== 200 || !(body.access_token || body.token)) {
      const problem = body.error || `${url} answered without a token`;
      error = new TokenError(status, body.code || 'no_token', problem, body.hint, body);
    }
    if (!error) return body;
    const wait = answer.header('Retry-After');
    if (wait) error.retryAfter = isNaN(+wait) ? 60 : +wait; // a date needs a clock that is right
    throw error;
  }

  function start(stale: string, minTtl: number): Promise<void> {
    const mine = generation;
    const ask = attempt(stale, minTtl).then(
      (got) => {
        if (mine !== generation) return;
        ({ token, ttl } = got);
        since = got.sent;
        pending = undefined;
      },
      (error) => {
        if (mine === generation) pending = undefined;
        try {
          if (options.onError) options.onError(error);
        } catch {}
        throw error;
      },
    );
    return (pending = ask);
  }

  async function obtain(stale: string, { minTtl = 0, signal }: GetOptions = {}): Promise<string> {
    for (;;) {
      if (signal && signal.aborted) throw signal.reason || aborted();
      const life = left();
      // What refuses this token may refuse any (no permission): so not at once again.
      const replacedNow = stale && (token !== stale || (!pending && replaced && elapsed(replaced) < calm));
      if (life > (stale ? 0 : Math.max(minTtl, short())) && (!stale || replacedNow)) {
        if (!stale && life < soon() && !pending) start('', 0).catch(() => {});
        return token;
      }
      const mine = !pending;
      const its = generation;
      if (mine && stale) replaced = now();
      try {
        await abortable(pending || start(stale, minTtl), signal);
      } catch (error) {
        if (mine && stale) replaced = undefined;
        // While the service is down, a token that is good will do.
        if (!stale && left() > 0 && temporary(error)) return token;
        throw error;
      }
      if (its === generation && (mine || !(stale || minTtl))) return token;
    }
  }

  const get = (o?: GetOptions) => obtain('', o);
  return {
    get,
    refresh: (refused, o) => obtain(refused || '', o),
    beforeCall: async () => ({ token: await get() }),
    forget() {
      generation++;
      token = '';
      pending = failure = replaced = undefined;
    },
  };
}

function temporary(error: any): boolean {
  const { status, code } = error;
  const passing = [0, 429, 503, 504].indexOf(status) >= 0 || (status === 502 && code !== 'upstream_rejected');
  return error instanceof TokenError && passing;
}

const aborted = () => Object.assign(new Error('the wait for a token was aborted'), { name: 'AbortError' });

function abortable<T>(promise: Promise<T>, signal?: Signal): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason || aborted());
    signal.addEventListener('abort', stop);
    promise.then(resolve, reject).then(() => signal.removeEventListener('abort', stop));
  });
}
