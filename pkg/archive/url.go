package archive

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// urlForm is what 0.12 takes for a URL when no pattern matches it.
var urlForm = regexp.MustCompile(`(?is)^(file?://.*|http(s)?://.*)$`)

func looksLikeURL(location string) bool { return urlForm.MatchString(location) }

// hasScheme reports whether location can be fetched; other texts are names,
// even if a pattern such as .* matches them (MAR-054).
func hasScheme(location string) bool {
	scheme, _, ok := strings.Cut(location, "://")
	return ok && slices.ContainsFunc([]string{"file", "http", "https"}, func(known string) bool {
		return strings.EqualFold(scheme, known)
	})
}

// baseName returns the last component of location: of its path if it is a URL
// of a scheme that Java knows, else of the whole text. Escapes stay.
func baseName(location string) string {
	scheme, rest, ok := strings.Cut(location, ":")
	known := slices.ContainsFunc([]string{"http", "https", "file", "ftp", "jar"}, func(s string) bool {
		return strings.EqualFold(scheme, s)
	})
	if ok && known {
		location = urlPath(rest)
	}
	return location[strings.LastIndexAny(location, `/\`)+1:]
}

// StoreName returns the name that an archive from this location has, or had it
// been stored there would have, in the model store: its last component.
func StoreName(location string) string { return baseName(strings.TrimRight(location, `/\`)) }

// urlPath returns the path of a URL without its scheme.
func urlPath(rest string) string {
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		_, rest, _ = strings.Cut(authority, "/")
	}
	return rest
}

// allowed reports whether a pattern admits this URL.
func (s *Store) allowed(location string) bool { return admits(s.cfg.AllowedURLs, location) }

func admits(patterns []*regexp.Regexp, location string) bool {
	return slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(location) })
}

func notAllowed(location string) error {
	return fault.New(fault.ModelNotFound, notAllowedText(location))
}

func notAllowedText(location string) string {
	return "Given URL " + location + " does not match any allowed URL(s)"
}

// names reports whether a pattern spells the host out, as in
// http://169\.254\.0\.7/.*: then whoever wrote it meant that host.
func names(patterns []*regexp.Regexp, host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool {
		return containsHost(strings.ToLower(unescape(p.String())), host)
	})
}

// unescape undoes the escapes of punctuation in a regular expression.
func unescape(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '\\' && i+1 < len(pattern) && !isHostByte(pattern[i+1], false) {
			i++
		}
		b.WriteByte(pattern[i])
	}
	return b.String()
}

// containsHost reports whether text holds host where a host begins and ends.
func containsHost(text, host string) bool {
	for at := 0; host != ""; {
		i := strings.Index(text[at:], host)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(host)
		before := start == 0 || !isHostByte(text[start-1], true)
		after := end == len(text) || !isHostByte(text[end], true)
		if before && after {
			return true
		}
		at = start + 1
	}
	return false
}

// isHostByte reports whether c occurs in host names; dots and hyphens on
// demand.
func isHostByte(c byte, punctuation bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		punctuation && (c == '.' || c == '-' || c == '_')
}

// redact returns a URL for the log, without user, query and fragment: they
// hold passwords and signatures.
func redact(location string) string {
	if !hasScheme(location) {
		return location
	}
	u, err := url.Parse(location)
	if err != nil {
		scheme, _, _ := strings.Cut(location, "://")
		return scheme + "://…"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment, u.ForceQuery = nil, "", "", "", false
	return u.String()
}

// isLoopback reports whether a host is this machine by its spelling.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
