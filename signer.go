//go:build !wasip1

package cozetoken

import (
	"crypto"

	"coze-token/coze"
)

// newSigner returns a signer of the private key in text.
func newSigner(text string) (crypto.Signer, error) {
	key, err := coze.ParseKey(text)
	if err != nil {
		return nil, err
	}
	return key, nil
}
