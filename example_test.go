package cozetoken_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	cozetoken "coze-token"
	"coze-token/sandbox"
)

// environment stands for cozetoken.Environ(os.Environ()): a sandbox in the place of Coze, and the
// settings of its app.
func environment() (env map[string]string, stop func()) {
	coze, err := sandbox.New(sandbox.Options{})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(coze)
	return coze.Settings(server.URL), server.Close
}

// The service beside other routes of a server.
func Example() {
	env, stop := environment()
	defer stop()

	tokens, err := cozetoken.New(env, cozetoken.Options{Transport: http.DefaultTransport})
	if err != nil {
		panic(err) // it says which settings are wrong, and what to do
	}
	mux := http.NewServeMux()
	mux.Handle("/token/", http.StripPrefix("/token", tokens))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "the page") })

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/token/", nil))
	fmt.Println(w.Code)
	// Output: 200
}

// A tokenSource is Auth of Coze's official Go SDK, github.com/coze-dev/coze-go.
type tokenSource interface {
	Token(ctx context.Context) (string, error)
}

func newCozeAPI(auth tokenSource) tokenSource { return auth }

// A token for a program that calls Coze itself with the official Go SDK: api :=
// coze.NewCozeAPI(auth).
func ExampleService_Auth() {
	env, stop := environment()
	defer stop()
	tokens, err := cozetoken.New(env, cozetoken.Options{Transport: http.DefaultTransport})
	if err != nil {
		panic(err)
	}

	auth, err := tokens.Auth("", "user-1")
	api := newCozeAPI(auth)

	if err != nil {
		panic(err)
	}
	first, _ := api.Token(context.Background())
	second, err := api.Token(context.Background())
	fmt.Println(first == second, err)
	// Output: true <nil>
}
