package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"coze-token/internal/auth"
)

// What an HTTP handler does with it.
func Example() {
	keys, err := auth.ParseKeys("shop=" + auth.HashKey("kA7fQz0nW2rT5yU8iP1oL4kJ6hG9dS3a") + " apps=support")
	if err != nil {
		fmt.Println(err)
		return
	}
	authenticator := auth.New(auth.Config{Keys: keys}, auth.Options{})
	ask := func(key, app, user string) (who auth.Caller, session string, err error) {
		r, _ := http.NewRequest("POST", "https://token.example/"+app, nil)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		if who, err = authenticator.Authenticate(context.Background(),
			authenticator.Credentials(r.Header, auth.Trust{Cookies: true})); err != nil {
			return who, "", err
		}
		if err = who.MayUse(app, r.Header.Get("Origin")); err != nil {
			return who, "", err
		}
		session, err = who.SessionFor(user, user != "")
		return who, session, err
	}
	who, session, _ := ask("kA7fQz0nW2rT5yU8iP1oL4kJ6hG9dS3a", "support", "alice")
	fmt.Println(who, session)
	for _, app := range []string{"support", "sales"} {
		key := ""
		if app == "sales" {
			key = "kA7fQz0nW2rT5yU8iP1oL4kJ6hG9dS3a"
		}
		_, _, err := ask(key, app, "alice")
		if e, ok := errors.AsType[*auth.Error](err); ok {
			fmt.Println(e.Status, e.Code, e.Challenges)
		}
	}
	// Output:
	// key shop alice
	// 401 unauthenticated [Bearer realm="coze-token"]
	// 403 forbidden []
}
