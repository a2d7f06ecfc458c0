package config

import (
	"strconv"
	"strings"
)

// review looks at what no section owns: booleans that are none, keys without
// effect, and settings that are dangerous together.
func (r *reader) review(c Config) {
	for _, k := range table {
		if k.Type != Bool || !r.isSet(k.Name) || k.Name == "disable_token_authorization" || r.set[k.Name].Value == "oip" {
			continue
		}
		if v := r.trimmed(k.Name); !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			r.lax(k.Name, k.Name+"="+v+" is neither true nor false and counts as false")
		}
	}
	for _, key := range []string{"number_of_netty_threads", "netty_client_threads"} {
		if n := r.int(key); n < 0 {
			r.refuse(key, "nThreads: "+strconv.FormatInt(n, 10)+" (expected: > 0)")
		}
	}
	r.int("io_ratio")
	for _, key := range []string{"number_of_netty_threads", "netty_client_threads", "io_ratio", "prefer_direct_buffer"} {
		row, _ := Lookup(key) // in the table
		if r.isSet(key) && r.trimmed(key) != row.Default {
			r.warn(Warning{Key: key, Level: Info, Text: key + " has no effect"})
		}
	}
	if c.Models.Fetch.AllowedByDefault {
		r.warn(Warning{Key: "allowed_urls", Level: Warn, Text: "Your torchserve instance can access any URL to load models. When deploying to production, make sure to limit the set of allowed_urls in config.properties"})
	}
	r.reviewExposure(c)
}

// reviewExposure looks at listeners that other machines reach.
func (r *reader) reviewExposure(c Config) {
	type listener struct {
		key    string
		text   string
		open   bool
		secret bool // keys do not travel in clear text
	}
	l := c.Listen
	listeners := []listener{
		{"inference_address", l.Inference.String(), !l.Inference.Loopback(), l.Inference.Scheme == HTTPS},
		{"management_address", l.Management.String(), !l.Management.Loopback(), l.Management.Scheme == HTTPS},
	}
	for _, a := range listeners {
		switch {
		case !a.open:
		case c.Security.TokensEnabled() && !a.secret:
			r.warn(Warning{Key: a.key, Level: Warn, Text: "Token authorization keys are sent in clear text to " + a.text + " (" + a.key + ")"})
		case c.Security.TokensEnabled() || !strings.Contains(a.key, "management"):
		case c.Security.Strict:
			r.refuse(a.key, a.key+": "+a.text+" is open to other machines without token authorization")
		default:
			r.warn(Warning{Key: a.key, Level: Warn, Text: "The management API is open to other machines without token authorization: " + a.text + " (" + a.key + ")"})
		}
	}
}
