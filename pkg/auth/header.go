package auth

import "strings"

const (
	scheme = "Bearer"
	// blanks are the white-space characters of the header's grammar.
	blanks = " \t\n\v\f\r"
)

// bearer returns the token in the values of the Authorization header: the
// scheme in exactly this case, blanks, and one word without blanks. A header
// sent twice counts if both say the same (D-TOK-16).
func bearer(values []string) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	for _, v := range values[1:] {
		if v != values[0] {
			return "", false
		}
	}
	rest, ok := strings.CutPrefix(values[0], scheme)
	if !ok {
		return "", false
	}
	word := strings.TrimLeft(rest, blanks)
	if word == "" || len(word) == len(rest) || strings.ContainsAny(word, blanks) {
		return "", false
	}
	return word, true
}
