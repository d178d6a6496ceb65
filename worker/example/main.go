// The example is a Worker that greets.
package main

import (
	"fmt"
	"net/http"

	"coze-token/worker"
)

func main() {} // is never run

func init() {
	greeting := worker.Env()["GREETING"]
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s, %s!\n", greeting, r.PathValue("name"))
	})
	request, _ := http.NewRequest("GET", "https://localhost/hello/gopher", nil)
	worker.Serve(mux, worker.Options{
		WarmUp: &worker.WarmUp{Handler: mux, Request: request, Times: 1},
	})
}
