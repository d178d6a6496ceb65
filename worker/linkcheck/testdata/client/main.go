// A program that links what a Worker must not, to show that it is found.
package main

import "net/http"

func init() {
	if resp, err := http.Get("https://example.com/"); err == nil {
		resp.Body.Close()
	}
}

func main() {}
