package worker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// A RateLimit is the rate-limit binding of this name. Its limit and its period, 10 or 60 seconds,
// stand in wrangler.jsonc under ratelimits. Go neither sees nor sets them.
//
// Each location of the platform counts for itself, and approximately: a client that reaches several
// locations has the limit in each. A call costs nothing and does not leave the machine.
type RateLimit string

// Allow counts one event under a key and reports whether it is within the limit. The platform does
// not say how many events are left, or for how long. A Worker without the binding gets an error. A
// key that identifies a person should be hashed.
func (r RateLimit) Allow(ctx context.Context, key string) (bool, error) {
	f, err := ask(ctx, kindLimit, 0, "rate limit "+string(r), string(r), key, nil)
	return f.number == replyYes, err
}

// A Cache is a cache of this name in the data centre that the Worker runs in (caches.open). The
// name has letters, digits and hyphens. All isolates there share it. [KV] is the other choice.
//
// It is free, needs no binding and answers in about a millisecond, but it promises nothing. Every
// data centre has its own. Entries may go at any time. In some places there is no cache (the
// dashboard's preview, a Worker behind Cloudflare Access, and historically *.workers.dev): there it
// accepts everything without an error and is always empty. Each call is one subrequest.
//
// Any Worker of the same zone can read and write the entries. So seal secret values, and check what
// you read.
type Cache string

// Get returns the value under a name, or nil if there is none. A value over 64 KiB is an error.
func (c Cache) Get(ctx context.Context, name string) ([]byte, error) {
	return c.entry(name).get(ctx, kindCacheGet)
}

// Put keeps a value of at most 64 KiB for ttl, rounded down to seconds. For less than a second it
// does nothing. The platform does not say whether the value was kept.
func (c Cache) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	return c.entry(name).put(ctx, kindCachePut, value, ttl, time.Second)
}

// entry returns an entry whose key is a URL. No traffic can have its host (RFC 6761, section 6.4).
func (c Cache) entry(name string) entry {
	return entry{"cache", string(c), "https://" + string(c) + ".invalid/" + url.PathEscape(name), pathable(name)}
}

// A KV is the Workers KV namespace that is bound under this name.
//
// It is one store for all data centres, and eventually consistent: another data centre may see a
// write after a minute, and may remember for as long that a name was missing. The Free plan has
// 100,000 reads and 1,000 writes a day. A name can be written once a second. Calls past these
// bounds fail. So KV suits few values that live for hours. [Cache] is the other choice.
//
// The values can be read in the account's dashboard and API, so seal secret values.
type KV string

// Get returns the value under a name, or nil if there is none. A value over 64 KiB is an error. So
// is a name that is empty, "." or "..", has more than 512 bytes, or has a line break or NUL in it.
func (kv KV) Get(ctx context.Context, name string) ([]byte, error) {
	return kv.entry(name).get(ctx, kindKVGet)
}

// Put keeps a value of at most 64 KiB for ttl, rounded down to seconds. For less than a minute it
// does nothing: KV has no shorter time, and a longer one would be wrong. Names are as for Get.
func (kv KV) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	return kv.entry(name).put(ctx, kindKVPut, value, ttl, time.Minute)
}

func (kv KV) entry(name string) entry {
	return entry{"KV " + string(kv), string(kv), name, pathable(name) && len(name) <= 512}
}

// pathable reports whether a URL's path can carry a name. Dots alone have a meaning there.
func pathable(name string) bool { return name != "" && name != "." && name != ".." }

// An entry is a place for a value in a cache or a KV namespace.
type entry struct {
	what, store, name string
	valid             bool
}

// maxValue is the largest value that is carried, in bytes.
const maxValue = 64 << 10

var (
	errName    = errors.New("worker: this name or value cannot be kept")
	errUnbound = errors.New("the Worker has no such binding: declare it in wrangler.jsonc")
)

func (e entry) get(ctx context.Context, kind uint32) ([]byte, error) {
	if !e.valid {
		return nil, errName
	}
	f, err := ask(ctx, kind, maxValue, e.what, e.store, e.name, nil)
	if err != nil || f.number != replyYes || len(f.body) == 0 {
		return nil, err
	}
	return f.body, nil
}

func (e entry) put(ctx context.Context, kind uint32, value []byte, ttl, least time.Duration) error {
	if !e.valid || len(value) > maxValue {
		return errName
	}
	if ttl < least {
		return nil
	}
	seconds := uint32(min(ttl, 365*24*time.Hour) / time.Second)
	_, err := ask(ctx, kind, seconds, e.what, e.store, e.name, value)
	return err
}

// The number in a result says how an effect on a binding ended.
const (
	replyNo      = 0 // no value; not allowed
	replyYes     = 1 // a value; allowed; done
	replyUnbound = 2 // the Worker has no such binding
)

// ask performs an effect whose payload and result are frames.
func ask(ctx context.Context, kind, number uint32, what, binding, name string, body []byte) (frame, error) {
	if binding == "" || name == "" || !oneLine(binding+name) {
		return frame{}, errName
	}
	p, err := theBridge().perform(ctx, kind, appendFrame(nil, number, []string{binding, name}, body))
	var f frame
	if err == nil {
		f, err = decodeFrame(p)
	}
	if err == nil && f.number == replyUnbound {
		err = errUnbound
	}
	if err != nil {
		return frame{}, fmt.Errorf("worker: %s: %w", what, err)
	}
	return f, nil
}
