package coze

import "context"

// An Auth is an access token for one request, from a source that makes new ones in time. It is an
// Auth of Coze's official Go SDK, which asks it before each call. It is safe for concurrent use if
// its source is.
type Auth struct {
	Source  Source
	Request TokenRequest
}

// Token returns the access token. The error is the source's.
func (a Auth) Token(ctx context.Context) (string, error) {
	token, err := a.Source.Token(ctx, a.Request)
	return token.AccessToken, err
}
