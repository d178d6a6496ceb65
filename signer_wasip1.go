package cozetoken

import (
	"crypto"

	"coze-token/internal/rsakey"
	"coze-token/worker"
)

// newSigner returns a signer of the private key in text. WebCrypto signs in a tenth of the time
// that Go needs in WebAssembly, and crypto/rsa would make the module larger. The key is moved to
// where JavaScript can sign with it and no code can read it.
func newSigner(text string) (crypto.Signer, error) {
	key, err := rsakey.Parse(text)
	if err != nil {
		return nil, err
	}
	return worker.NewSignerOf(worker.RSAKey(key))
}
