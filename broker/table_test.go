package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{}, broker.Options{Size: 3})
		app := testApp()
		get := func(session string) broker.CacheStatus {
			time.Sleep(2 * time.Second)
			return must(t, b, coze.TokenRequest{App: app, Session: session}, broker.GetOptions{}).CacheStatus
		}
		for _, session := range strings.Fields("a b c a d") { // d pushes b out
			get(session)
		}
		for _, session := range strings.Fields("a c d") {
			if get(session) != broker.Hit {
				t.Errorf("%s is forgotten", session)
			}
		}
		if get("b") != broker.Miss {
			t.Error("b is remembered")
		}
		if st := b.Stats(); st.Entries != 3 || st.Evicted != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// What is used counts as used although the clock was set back since it was last.
func TestUseIsSeenAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := time.Hour
		b := broker.New(&fake{}, broker.Options{Size: 3, Now: func() time.Time { return time.Now().Add(off) }})
		get := func(session string) broker.CacheStatus {
			time.Sleep(2 * time.Second)
			request := coze.TokenRequest{App: testApp(), Session: session, Duration: 10 * time.Hour}
			return must(t, b, request, broker.GetOptions{}).CacheStatus
		}
		for _, session := range strings.Fields("a b c") {
			get(session)
		}
		off = 0
		get("a")
		get("d") // pushes b out
		if get("a") != broker.Hit || get("c") != broker.Hit || get("b") != broker.Miss {
			t.Error("what was used last was forgotten first")
		}
	})
}

func TestExpiredGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{}, broker.Options{Size: 3})
		app := testApp()
		long := func(session string) broker.CacheStatus {
			request := coze.TokenRequest{App: app, Session: session, Duration: 10 * time.Hour}
			return must(t, b, request, broker.GetOptions{}).CacheStatus
		}
		long("a")
		long("b")
		time.Sleep(5 * time.Second)
		must(t, b, coze.TokenRequest{App: app, Session: "short", Duration: time.Minute}, broker.GetOptions{})
		time.Sleep(2 * time.Minute)
		long("c") // short was used last, but is of no use
		if long("a") != broker.Hit || long("b") != broker.Hit {
			t.Error("a token with hours left was forgotten for one that had expired")
		}
		if st := b.Stats(); st.Entries != 3 || st.Evicted != 0 {
			t.Errorf("%+v", st)
		}
		// One that has not expired, but too little life left to be handed out, is of no use either.
		b = broker.New(&fake{}, broker.Options{Size: 2})
		long("a")
		time.Sleep(5 * time.Second)
		must(t, b, coze.TokenRequest{App: app, Session: "short"}, broker.GetOptions{})
		time.Sleep(601 * time.Second)
		long("b")
		if long("a") != broker.Hit {
			t.Error("a token with hours left was forgotten for one that is of no use")
		}
	})
}

func TestSizeIsKept(t *testing.T) {
	for _, size := range []int{1, 2, 1023, 5000, 40000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			b := broker.New(&fake{}, broker.Options{Size: size, Budget: -1})
			app := testApp()
			for i := range size*2 + 10 {
				must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
				if i%997 == 0 {
					if st := b.Stats(); st.Entries > size {
						t.Fatalf("%d requests, at most %d", st.Entries, size)
					}
				}
			}
			if st := b.Stats(); st.Entries > size || st.Entries < size*99/100 {
				t.Fatalf("%d requests of %d", st.Entries, size)
			}
		})
	}
}

// A table with room for all must not forget much because keys spread unevenly over its shards.
func TestShardsAreEven(t *testing.T) {
	const size = 40000
	b := broker.New(&fake{}, broker.Options{Size: size, Budget: -1})
	app := testApp()
	for i := range size {
		must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint("user-", i)}, broker.GetOptions{})
	}
	if st := b.Stats(); st.Evicted > size/40 {
		t.Errorf("%d of %d forgotten", st.Evicted, size)
	}
}

func TestFailuresAreBoundedAndDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(int64, coze.TokenRequest) error {
			return &coze.Error{Kind: coze.Rejected, Code: "invalid_request"}
		}}
		b := broker.New(source, broker.Options{Size: 100, Budget: -1})
		app := testApp()
		for i := range 1000 {
			fails(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, coze.Rejected)
		}
		if st := b.Stats(); st.Entries != 100 {
			t.Errorf("%+v", st)
		}
		time.Sleep(5 * time.Minute)
		for i := range 10 {
			fails(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint("again", i)}, coze.Rejected)
		}
		if st := b.Stats(); st.Entries > 20 {
			t.Errorf("what expired is to be removed: %+v", st)
		}
	})
}

// The session may be a part of a request of a megabyte.
func TestSessionsDoNotPinRequests(t *testing.T) {
	b := broker.New(sourceFunc(func() (coze.Token, error) {
		return coze.Token{AccessToken: "x", Expiry: time.Now().Add(15 * time.Minute)}, nil
	}), broker.Options{Budget: -1})
	app := testApp()
	before := heap()
	for i := range 100 {
		request := strings.Repeat("x", 1<<20) + fmt.Sprint("user", i)
		must(t, b, coze.TokenRequest{App: app, Session: request[1<<20:]}, broker.GetOptions{})
	}
	if grown := int64(heap()) - int64(before); grown > 10<<20 {
		t.Errorf("100 requests hold %d bytes", grown)
	}
	must(t, b, coze.TokenRequest{App: app}, broker.GetOptions{})
}

// One caller that wants more does not make the token of less use to the others.
func TestAnotherCallersWishDoesNotShortenALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{}, broker.Options{})
		request := coze.TokenRequest{App: testApp()}
		must(t, b, request, broker.GetOptions{MinTTL: 800 * time.Second})
		time.Sleep(200 * time.Second)
		must(t, b, coze.TokenRequest{App: testApp(), Session: "newcomer"}, broker.GetOptions{})
		if got := must(t, b, request, broker.GetOptions{}); got.CacheStatus != broker.Hit {
			t.Error(got.CacheStatus)
		}
	})
}
