// Package rsa has crypto/rsa's types and none of its arithmetic. The Worker's build puts it in the
// place of crypto/rsa, as [coze-token/worker/stub/tls] in that of crypto/tls: WebCrypto signs and
// verifies there. What is not declared here does not compile there, and what is declared fails.
package rsa

import (
	"crypto"
	"errors"
	"io"
	"math/big"
)

var errNone = errors.New("rsa: there is none in this program, only WebCrypto")

type (
	PublicKey struct {
		N *big.Int
		E int
	}

	PrivateKey struct {
		PublicKey
		D           *big.Int
		Primes      []*big.Int
		Precomputed PrecomputedValues
	}

	PrecomputedValues struct{ Dp, Dq, Qinv *big.Int }
)

func (k *PrivateKey) Public() crypto.PublicKey { return &k.PublicKey }

func (*PrivateKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errNone }

func (*PrivateKey) Precompute() {}

func (*PrivateKey) Validate() error { return errNone }
