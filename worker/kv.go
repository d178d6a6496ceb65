package worker

import (
	"context"
	"fmt"
	"time"
)

// A KV keeps bytes in the Workers KV namespace that is bound under this name.
//
// It is one store for all data centres, and slow to agree: a write is seen elsewhere after up to a minute, and a name that was
// looked for in vain may be remembered as missing for as long. The Free plan has 100,000 reads and 1,000 writes a
// day, and one write a second to a name; past that, calls fail. So it suits values that live for hours, and few of them. [Cache]
// is the other choice.
//
// Whoever may use the account's dashboard or API can read it: values that are secret must be sealed.
type KV string

// leastKV is the shortest time that KV keeps anything for. A shorter one throws.
const leastKV = 60 * time.Second

// maxKVName is KV's own bound, in bytes.
const maxKVName = 512

// Get returns what is kept under the name, as far as it is known here, and nil if there is nothing. A value over 64 KiB is an
// error; so is a name that KV does not take.
func (kv KV) Get(ctx context.Context, name string) ([]byte, error) {
	if !kv.takes(name) {
		return nil, errName
	}
	f, err := ask(ctx, kindKVGet, maxValue, []string{string(kv), name}, nil)
	if err != nil {
		return nil, fmt.Errorf("worker: KV %s: %w", string(kv), err)
	}
	return f.value(), nil
}

// Put keeps a value for ttl, less the fraction of a second. What would live for less than a minute is not kept: KV has no shorter time, and a
// longer one than was asked for would be a lie.
func (kv KV) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if !kv.takes(name) || len(value) > maxValue {
		return errName
	}
	if ttl < leastKV {
		return nil
	}
	if _, err := ask(ctx, kindKVPut, wholeSeconds(ttl), []string{string(kv), name}, value); err != nil {
		return fmt.Errorf("worker: KV %s: %w", string(kv), err)
	}
	return nil
}

func (kv KV) takes(name string) bool {
	return plain(string(kv)) && plain(name) && len(name) <= maxKVName && name != "." && name != ".."
}
