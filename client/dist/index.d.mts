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
    beforeCall: () => Promise<{
        token: string;
    }>;
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
export type Fetch = (url: string, init: {
    method: string;
    headers: Record<string, string>;
    body?: string;
    credentials?: 'include';
}) => Promise<{
    status: number;
    headers: {
        get(name: string): string | null;
    };
    text(): Promise<string>;
}>;
/** `wx.request`, `uni.request`, `Taro.request` and their like. */
export type MiniRequest = (options: any) => unknown;
/** Why there is no token. */
export declare class TokenError extends Error {
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
    readonly upstream?: {
        status: number;
        code: string;
        message: string;
        logid: string;
    };
    constructor(status: number, code: string, problem: string, hint?: string, more?: any);
}
/** Makes a token source. It throws if the options cannot be right, and sends nothing yet. */
export declare function tokenSource(options: Options): TokenSource;
