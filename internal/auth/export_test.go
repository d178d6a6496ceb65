package auth

// What fuzzers call directly.

func ReadToken(raw string) error {
	if _, e := readToken(raw); e != nil {
		return e
	}
	return nil
}

func ParseJWKS(p []byte) (algs []string, err error) {
	keys, _, err := parseJWKS(p)
	for _, k := range keys {
		algs = append(algs, k.algs...)
	}
	return algs, err
}

var ParseDiscovery = parseDiscovery

var SmallOrder = smallOrder

func (k *Keys) Find(credential string) (name string, ok bool) {
	if found := k.find(credential); found != nil {
		return found.name, true
	}
	return "", false
}

var Freshness = freshness

// What holds secrets, to be printed.

func (a *Authenticator) Methods() []Method { return a.methods }
