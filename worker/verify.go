package worker

import (
	"context"
	"fmt"
)

// Verify reports whether a signature is one of the message, by WebCrypto. key is the public half as
// a JSON Web Key (RFC 7517) on one line. alg is one of RFC 7518's: RS256, PS256 or ES256, the same
// with 384 and 512, or RFC 8037's EdDSA with a key of Ed25519. A key that the platform does not take
// is an error. It cannot be called before the first request.
func Verify(ctx context.Context, alg, key string, message, signature []byte) (bool, error) {
	body := append(append(make([]byte, 0, len(signature)+len(message)), signature...), message...)
	p, err := theBridge().perform(ctx, kindVerify,
		appendFrame(nil, uint32(len(signature)), []string{alg, key}, body))
	var f frame
	if err == nil {
		f, err = decodeFrame(p)
	}
	if err != nil {
		return false, fmt.Errorf("worker: verify: %w", err)
	}
	return f.number == replyYes, nil
}
