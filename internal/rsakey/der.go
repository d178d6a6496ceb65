package rsakey

import (
	"math/big"
	"slices"
)

// The tags of DER that keys have (X.690 section 8).
const (
	tagInteger  = 0x02
	tagBits     = 0x03
	tagBytes    = 0x04
	tagNull     = 0x05
	tagOID      = 0x06
	tagSequence = 0x30
)

// der is a text in DER that is read from its front. encoding/asn1 and cryptobyte would do, but both
// keep all of math/big in a program: 0.4 MB for these forty lines.
type der []byte

// next reads an element. Its content is returned if it has the tag and its length is written as DER
// wants it. If not, nothing is read.
func (d *der) next(tag byte) (content der, ok bool) {
	s := *d
	if len(s) < 2 || s[0] != tag {
		return nil, false
	}
	length, head := int(s[1]), 2
	if length >= 0x80 {
		size := length & 0x7f
		if size == 0 || size > 3 || len(s) < 2+size {
			return nil, false
		}
		length, head = 0, 2+size
		for _, b := range s[2:head] {
			length = length<<8 | int(b)
		}
		if length < 0x80 || length>>(8*(size-1)) == 0 {
			return nil, false
		}
	}
	if length > len(s)-head {
		return nil, false
	}
	*d = s[head+length:]
	return s[head : head+length], true
}

// integer reads an integer that is not negative, as bytes without leading zeros.
func (d *der) integer() (number []byte, ok bool) {
	rest := *d
	s, ok := rest.next(tagInteger)
	if !ok || len(s) == 0 || s[0] >= 0x80 || len(s) > 1 && s[0] == 0 && s[1] < 0x80 {
		return nil, false
	}
	*d = rest
	if s[0] == 0 {
		s = s[1:]
	}
	return s, true
}

// element writes an element of several parts.
func element(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	head := []byte{tag, byte(len(content))}
	if len(content) >= 0x80 {
		length := big.NewInt(int64(len(content))).Bytes()
		head = append([]byte{tag, 0x80 | byte(len(length))}, length...)
	}
	return append(head, content...)
}

// PublicDER writes a public key as SubjectPublicKeyInfo (RFC 3279 section 2.3.1). n and e are
// numbers as in [Key].
func PublicDER(n, e []byte) []byte {
	integer := func(p []byte) []byte {
		if len(p) == 0 || p[0] >= 0x80 {
			p = append([]byte{0}, p...)
		}
		return element(tagInteger, p)
	}
	return element(tagSequence,
		element(tagSequence, element(tagOID, []byte(oidRSA)), element(tagNull)),
		element(tagBits, []byte{0}, element(tagSequence, integer(n), integer(e))))
}
