/* What differs between browsers, servers and mini programs. None of it is there on all of them. */
import type { Fetch, MiniRequest, Options, TicketStorage, TokenError } from './index';

declare const wx: any, uni: any, document: any, localStorage: any, fetch: Fetch | undefined;
declare const performance: any, navigator: any, location: any;
declare function setTimeout(callback: () => void, ms: number): unknown;
declare function clearTimeout(timer: unknown): void;

/** An answer, whichever way it came. */
export interface Answer {
  status: number;
  text: string;
  header(name: string): string | null | undefined;
}

/**
 * A moment. Two clocks are read: the first is not set by the user, but stands still while a laptop
 * sleeps; the second goes on, but can be set.
 */
export const now = () => [typeof performance === 'object' && performance.now ? performance.now() : 0, Date.now()];

/** The seconds since a moment, by the clock that says more. One that was set back counts as well. */
export function elapsed(since: number[]): number {
  const [steady, date] = now();
  return Math.max(steady - since[0], Math.abs(date - since[1])) / 1000;
}

export const sleep = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000));

/** The promise's outcome, or the error once the seconds are over. No timer is left behind. */
export const within = <T>(promise: Promise<T>, seconds: number, error: () => Error) =>
  new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(error()), seconds * 1000);
    promise.then(resolve, reject).then(() => clearTimeout(timer));
  });

// A page with WeChat's JS-SDK also has a wx, without these.
const has = (name: string): any =>
  typeof wx === 'object' && typeof wx[name] === 'function'
    ? wx
    : typeof uni === 'object' && typeof uni[name] === 'function' ? uni : undefined;

export const miniProgram = () => has('login');

/** Reports whether others can read what this program has in memory. */
export const inClient = () => typeof document === 'object' || !!miniProgram();

/** Sends a request by fetch, or by a mini program's function. */
export async function send(options: Options, url: string, init: Parameters<Fetch>[1]): Promise<Answer> {
  const request: MiniRequest | undefined =
    options.request || (options.fetch || typeof fetch === 'function' ? undefined : ((o) => has('request').request(o)));
  if (!request) {
    const response = await (options.fetch || fetch!)(url, init);
    return { status: response.status, text: await response.text(), header: (name) => response.headers.get(name) };
  }
  return new Promise((resolve, reject) => {
    const { method, headers, body } = init;
    request({
      url,
      method,
      header: headers,
      data: body,
      dataType: 'text', // not parsed, because an answer may be no JSON
      success({ statusCode, data, header }: any) {
        const of = (name: string) => {
          for (const key in header) if (key.toLowerCase() === name.toLowerCase()) return String(header[key]);
        };
        resolve({ status: statusCode, text: typeof data === 'string' ? data : JSON.stringify(data), header: of });
      },
      fail: (e: any) => reject(new Error(e.errMsg)),
    });
  });
}

/** One value in a storage, or in memory where there is none or it may not be used. */
export function memory(storage: TicketStorage | undefined, key: string) {
  let value: string | null | undefined;
  const place = async <T>(use: (s: TicketStorage) => T): Promise<T | undefined> => {
    try {
      const mini = has('getStorageSync');
      return await use(storage || (mini
        ? {
            getItem: (k) => mini.getStorageSync(k),
            setItem: (k, v) => mini.setStorageSync(k, v),
            removeItem: (k) => mini.removeStorageSync(k),
          }
        : localStorage));
    } catch {}
  };
  return {
    get: async () => (await place((s) => s.getItem(key))) || value,
    async set(next: string) {
      value = next;
      await place((s) => (next ? s.setItem(key, next) : s.removeItem(key)));
    },
  };
}

/** A code of wx.login, which is good once and for five minutes. */
export const login = () =>
  new Promise<string>((resolve, reject) => {
    const mini = miniProgram();
    if (!mini) return reject(new Error('there is no wx.login here: wechat is for mini programs'));
    mini.login({
      provider: 'weixin',
      success: (o: any) => resolve(o.code),
      fail: (e: any) => reject(new Error(e.errMsg)),
    });
  });

/** What to look at when there was no answer. Browsers do not say why. */
export function unreachable(type: typeof TokenError, url: string, cause: any): TokenError {
  const page = typeof location === 'object' && typeof document === 'object' ? location : undefined;
  const offline = typeof navigator === 'object' && navigator.onLine === false;
  const error = offline
    ? new type(0, 'offline', 'this device is offline')
    : new type(0, 'unreachable', `there is no answer from ${url} (${cause && cause.message})`,
      !page
        ? miniProgram() ? "Is it on the mini program's list of request domains, and HTTPS?" : 'Does the service run there?'
        : page.protocol === 'https:' && /^http:/.test(url) ? 'A page with HTTPS may ask over HTTPS only.'
          : 'Either nothing runs there, or the browser keeps the answer from this page (CORS): ' +
            `ALLOWED_ORIGINS must list ${page.origin}, and the path be right`);
  return Object.assign(error, { cause });
}
