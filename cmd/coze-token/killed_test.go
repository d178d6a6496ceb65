package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
)

// What SIGKILL loses of the log. On a quiet server nothing: each line is there before the next
// request. Of a reader that has stopped to read, it loses the newest records.
func TestKilled(t *testing.T) {
	t.Parallel()
	cmd, url, lines := serveIntoPipe(t)
	ask := func(user int) (id string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-User-ID", fmt.Sprint("user-", user))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("status %d", response.StatusCode)
		}
		return response.Header.Get("X-Request-Id")
	}
	next := func() (id string, err error) {
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return "", err
			}
			var record struct {
				Msg string
				ID  string `json:"request_id"`
			}
			if err := json.Unmarshal(line, &record); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if record.Msg == "request" {
				return record.ID, nil
			}
		}
	}

	for i := range 20 { // its line comes though nothing follows
		asked := ask(i)
		if id, err := next(); id != asked || err != nil {
			t.Fatalf("the record of %s, %v; want %s", id, err, asked)
		}
	}

	var asked, written []string
	for i := range 600 { // some 250 records fill a pipe of 64 KiB
		asked = append(asked, ask(i%10))
	}
	cmd.Process.Kill()
	cmd.Wait()
	for {
		id, err := next()
		if err != nil { // io.EOF; the last line may be cut off
			break
		}
		written = append(written, id)
	}
	if n := len(written); n == 0 || n == len(asked) || !slices.Equal(written, asked[:n]) {
		t.Errorf("of %d records, %d were written, and not the first ones", len(asked), n)
	}
}
