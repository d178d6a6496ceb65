package message

import (
	"strconv"
	"strings"
)

// maxRanges is how many languages of a header are looked at. Browsers send a few. A header of commas
// would cost ten times the time of its request.
const maxRanges = 100

// Prefers reports whether the language stands first in Accept-Language (RFC 9110, section 12.5.4).
// The first is the one with the greatest weight, and of several the one before the others. language
// is a primary subtag: "zh" stands for zh-CN and zh-Hans too. Lines are those of the header.
func Prefers(language string, lines []string) bool {
	best, first, ranges := 0.0, "", 0
	for item := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if ranges++; ranges > maxRanges {
			break
		}
		tag, weight, weighted := strings.Cut(item, ";")
		if tag = strings.TrimSpace(tag); tag == "" { // RFC 9110, section 5.6.1.2
			continue
		}
		quality := 1.0
		if weighted {
			name, value, _ := strings.Cut(strings.TrimSpace(weight), "=")
			q, err := strconv.ParseFloat(value, 64)
			if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(q >= 0 && q <= 1) {
				continue
			}
			quality = q
		}
		if quality > best {
			best, first = quality, tag
		}
	}
	primary, _, _ := strings.Cut(first, "-")
	return strings.EqualFold(primary, language)
}
