package coze_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"coze-token/coze"
	"coze-token/sandbox"
)

// An emulator stands in for Coze. Its settings are what Coze's console shows of an app.
func emulator() (sb *sandbox.Sandbox, url string, stop func()) {
	sb, err := sandbox.New(sandbox.Options{Key: rsaKey()})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(sb)
	return sb, server.URL, server.Close
}

func Example() {
	sb, url, stop := emulator()
	defer stop()
	settings := sb.Settings(url)

	key, err := coze.ParseKey(settings["PRIVATE_KEY"])
	if err != nil {
		panic(err)
	}
	app := &coze.App{
		ClientID: settings["CLIENT_ID"],
		Keys:     []coze.Key{{ID: settings["KID"], Signer: key}},
		Audience: coze.China.Audience,
		Endpoint: settings["TOKEN_ENDPOINT"], // coze.China.Endpoint, for Coze itself
	}
	client := &coze.Client{Transport: http.DefaultTransport, Clock: &coze.Clock{}}
	token, err := client.Token(context.Background(), coze.TokenRequest{
		App:      app,
		Session:  "user-1",
		Duration: 10 * time.Minute,
	})
	if err != nil {
		panic(err)
	}
	issued, _ := sb.Issued(token.AccessToken)
	fmt.Println(token.Type, issued.Session, time.Until(token.Expiry).Round(time.Minute))
	// Output: Bearer user-1 10m0s
}

func ExampleAuth() {
	sb, url, stop := emulator()
	defer stop()

	client := &coze.Client{Transport: http.DefaultTransport}
	auth := coze.Auth{Source: client, Request: coze.TokenRequest{App: sb.App(url), Session: "user-1"}}

	// This is what Coze's official Go SDK asks for.
	var sdk interface {
		Token(ctx context.Context) (string, error)
	} = auth
	token, err := sdk.Token(context.Background())
	issued, ok := sb.Issued(token)
	fmt.Println(issued.Session, ok, err)
	// Output: user-1 true <nil>
}

func ExampleError() {
	sb, url, stop := emulator()
	defer stop()

	app := sb.App(url)
	app.Keys[0].ID = "a key that Coze does not know"
	client := &coze.Client{Transport: http.DefaultTransport}
	_, err := client.Token(context.Background(), coze.TokenRequest{App: app})
	if e, ok := errors.AsType[*coze.Error](err); ok {
		fmt.Println(e.Kind, e.Status, e.Code, e.Temporary())
	}
	// Output: rejected 401 invalid_client false
}
