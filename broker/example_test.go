package broker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"coze-token/broker"
	"coze-token/broker/storetest"
	"coze-token/coze"
	"coze-token/sandbox"
)

// An emulator stands in for Coze.
func emulator() (app *coze.App, sb *sandbox.Sandbox, stop func()) {
	key, err := rsaKey()
	if err != nil {
		panic(err)
	}
	sb, err = sandbox.New(sandbox.Options{Key: key})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(sb)
	return sb.App(server.URL), sb, server.Close
}

func Example() {
	app, _, stop := emulator()
	defer stop()

	clock := &coze.Clock{}
	client := &coze.Client{Transport: http.DefaultTransport, Clock: clock}
	tokens := broker.New(client, broker.Options{Now: clock.Now})
	request := coze.TokenRequest{App: app, Session: "user-1"}

	ctx := context.Background()
	for _, options := range []broker.GetOptions{
		{},
		{},
		{MinTTL: 14 * time.Minute}, // of 15: the token is young enough
		{Wait: 3 * time.Second},
	} {
		result, err := tokens.Get(ctx, request, options)
		if err != nil {
			panic(err)
		}
		fmt.Println(result.CacheStatus)
	}
	fmt.Println(tokens.Stats().Exchanges, "exchange")
	// Output:
	// miss
	// hit
	// hit
	// hit
	// 1 exchange
}

// A broker as the Auth of Coze's official Go SDK, for one end user.
func ExampleBroker_Token() {
	app, sb, stop := emulator()
	defer stop()

	tokens := broker.New(&coze.Client{Transport: http.DefaultTransport}, broker.Options{})
	auth := coze.Auth{Source: tokens, Request: coze.TokenRequest{App: app, Session: "user-1"}}
	first, err := auth.Token(context.Background())
	if err != nil {
		panic(err)
	}
	second, err := auth.Token(context.Background())
	issued, _ := sb.Issued(second)
	fmt.Println(second == first, issued.Session, err)
	// Output: true user-1 <nil>
}

// Two brokers, as in two processes, share tokens through a store.
func ExampleStore() {
	app, _, stop := emulator()
	defer stop()

	stored := make(chan struct{}, 1)
	options := broker.Options{
		Store:  new(storetest.Memory),
		Secret: func(app *coze.App) []byte { return broker.KeySecret(app.Keys[0].Signer) },
		Go: func(f func()) {
			go func() {
				f()
				stored <- struct{}{} // a new token is put into the store after callers have it
			}()
		},
	}
	client := &coze.Client{Transport: http.DefaultTransport}
	request := coze.TokenRequest{App: app, Session: "user-1"}
	for range 2 {
		result, err := broker.New(client, options).Get(context.Background(), request, broker.GetOptions{})
		<-stored
		fmt.Println(result.CacheStatus, err)
	}
	// Output:
	// miss <nil>
	// shared <nil>
}
