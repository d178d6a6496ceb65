package worker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// A Cache keeps bytes for a while in the cache of the data centre that the Worker runs in (the Cache API). Isolates there share
// it, and a new one finds what an older one has kept.
//
// It is free, needs no binding and answers in a millisecond or so, and promises nothing: every data centre has its own, entries
// may go at any time, and where there is no cache (a *.workers.dev address has historically been such a place; the dashboard's preview; Workers
// behind Cloudflare Access) it is always empty and takes everything, without an error. Each call is one of the
// request's subrequests. [KV] is the other choice.
//
// Any Worker of the same zone can read and write what is kept, so values that are secret must be sealed, and what is
// read must be checked.
type Cache struct {
	// Space names a cache of its own (caches.open): the default one is shared with what fetch caches for the zone, where a
	// visitor's request might meet an entry. Letters, digits and hyphens.
	Space string
	// Host is the host of the URLs that are the entries' names. Optional: Space.invalid, which no traffic can have (RFC 6761,
	// section 6.4). Cloudflare advises the Worker's own host, "as this can lead to unnecessary DNS lookups and cache
	// inefficiencies" otherwise; a Worker that has several then has as many caches unless it names one.
	Host string
}

var errName = errors.New("worker: not a name that can be kept")

// takes says whether a URL can tell the name: dots alone are a path's own.
func (c Cache) takes(name string) bool {
	return plain(c.Space) && name != "" && name != "." && name != ".."
}

// Get returns what was last put under the name, in this data centre, and nil if there is nothing. A value over 64 KiB is an error.
func (c Cache) Get(ctx context.Context, name string) ([]byte, error) {
	if !c.takes(name) {
		return nil, errName
	}
	f, err := ask(ctx, kindCacheGet, maxValue, []string{c.Space, c.url(name)}, nil)
	if err != nil {
		return nil, fmt.Errorf("worker: cache: %w", err)
	}
	return f.value(), nil
}

// Put keeps a value for ttl, less the fraction of a second; for less than a second it does nothing. The platform does not
// tell whether it was kept.
func (c Cache) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	seconds := wholeSeconds(ttl)
	if !c.takes(name) || len(value) > maxValue {
		return errName
	}
	if seconds == 0 {
		return nil
	}
	if _, err := ask(ctx, kindCachePut, seconds, []string{c.Space, c.url(name)}, value); err != nil {
		return fmt.Errorf("worker: cache: %w", err)
	}
	return nil
}

func (c Cache) url(name string) string {
	host := c.Host
	if host == "" {
		host = c.Space + ".invalid"
	}
	return "https://" + host + "/" + url.PathEscape(name)
}
