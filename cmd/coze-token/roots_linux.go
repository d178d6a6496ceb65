package main

// Mozilla's root certificates, for images that hold the program and nothing else. Those of the
// system come first.
import _ "golang.org/x/crypto/x509roots/fallback"
