package auth

import "context"

// open lets in a caller who carries no credential, as the original Worker did.
type open struct {
	mayName bool // beside logins, a caller could name users who have to prove who they are
}

// Identify implements [Method].
func (o open) Identify(_ context.Context, c *Credentials) (Caller, bool, *Error) {
	return Caller{Mode: ModeOpen, Name: "open", MayNameUsers: o.mayName}, c.Sent == "", nil
}

// Scheme implements [Method].
func (open) Scheme() string { return "" }

// Accepts implements [Method].
func (open) Accepts() string { return "nothing" }
