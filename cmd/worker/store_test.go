package main_test

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"coze-token/broker"
	"coze-token/worker"
)

// The key is gone after a signer's first signature, so the broker seals with the signer's secret.
func TestBrokerUsesTheSignersSecret(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := worker.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	if got := broker.KeySecret(signer); len(got) != 32 || string(got) != string(signer.Secret()) {
		t.Errorf("the broker seals with %x", got)
	}
}
