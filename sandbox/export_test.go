package sandbox

// The bounds of memory take thousands of exchanges to reach; tests reach them from within.
const (
	MaxUsed   = maxUsed
	MaxIssued = maxIssued
)

// Used is the memory of assertions.
type Used struct{ u *used }

func NewUsed() Used { return Used{newUsed()} }

func (u Used) Take(clientID, jti string, until, now int64) bool {
	return u.u.take(clientID, jti, until, now)
}

func (u Used) Len() (ids, order int) { return len(u.u.until), len(u.u.order) }

// IssuedTokens is the memory of tokens.
type IssuedTokens struct{ i *issued }

func NewIssuedTokens() IssuedTokens { return IssuedTokens{newIssued()} }

func (i IssuedTokens) Add(token string, issue Issue) { i.i.add(token, issue) }
func (i IssuedTokens) Len() (tokens, order int)      { return len(i.i.tokens), len(i.i.order) }
