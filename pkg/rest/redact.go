package rest

import (
	"net/url"
	"strings"
)

// hidden stands for a secret in the access log.
const hidden = "***"

// maxNesting is how many addresses within addresses redact looks into; what is
// deeper is hidden as a whole.
const maxNesting = 3

// redact hides the secrets that a request target may carry: the signatures of
// pre-signed addresses and user information, in the query itself or in an
// address that it names, as in url= (D-MGT-1).
func redact(target string) string {
	if !suspicious(target) {
		return target
	}
	return redactAddress(target, 0)
}

// suspicious is the cheap check that nearly all targets end with.
func suspicious(target string) bool {
	query := strings.IndexByte(target, '?')
	return query >= 0 && strings.IndexByte(target[query:], '=') >= 0
}

func redactAddress(text string, depth int) string {
	if depth > maxNesting {
		return hidden
	}
	base, query, found := strings.Cut(text, "?")
	base = redactUser(base)
	if !found {
		return base
	}
	var b strings.Builder
	b.WriteString(base)
	b.WriteByte('?')
	for {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			b.WriteString(redactPair(query, depth))
			return b.String()
		}
		b.WriteString(redactPair(query[:end], depth))
		b.WriteByte(query[end])
		query = query[end+1:]
	}
}

func redactPair(pair string, depth int) string {
	name, value, found := strings.Cut(pair, "=")
	switch {
	case !found:
		return pair
	case secret(name):
		return name + "=" + hidden
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		plain = value
	}
	if clean := redactAddress(plain, depth+1); clean != plain {
		return name + "=" + url.QueryEscape(clean)
	}
	return pair
}

// redactUser hides what stands between :// and @.
func redactUser(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return address
	}
	authority, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return address
	}
	return scheme + "://" + hidden + rest[at:]
}

// secret reports whether a query parameter of this name is one.
func secret(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	switch strings.ToLower(name) {
	case "x-amz-signature", "x-amz-credential", "x-amz-security-token", "sig", "signature":
		return true
	default:
		return false
	}
}
