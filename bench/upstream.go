package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// upstream stands in Coze's place. It reads the whole request, looks at everything that can be
// looked at without arithmetic, and issues a token that no other request gets. It does not verify
// the signature: package sandbox does, and each contender is held to it once before it is measured.
type upstream struct{ issued atomic.Int64 }

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		GrantType string `json:"grant_type"`
		Duration  int64  `json:"duration_seconds"`
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	assertion, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case err != nil, r.Method != http.MethodPost, !bearer, strings.Count(assertion, ".") != 2, len(assertion) < 400,
		asked.GrantType != "urn:ietf:params:oauth:grant-type:jwt-bearer", asked.Duration <= 0:
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error_code":"invalid_request","error_message":"invalid request"}`)
		return
	}
	answer := fmt.Appendf(make([]byte, 0, 160), `{"access_token":"czs_%060d","expires_in":%d,"token_type":"Bearer"}`,
		u.issued.Add(1), time.Now().Unix()+asked.Duration)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer)
}

// serveUpstream serves until standard input ends. The first line of its output is its address.
func serveUpstream() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, &upstream{})
	fmt.Printf("{\"url\":\"http://%s\"}\n", l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
