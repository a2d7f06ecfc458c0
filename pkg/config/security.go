package config

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Security is what guards the API. The zero TokenLifetime means that keys are
// expired from the start (TOK §6).
type Security struct {
	TokensDisabledBy string // the switch that turned authorization off; empty: it is on
	TokenLifetime    time.Duration
	TokenKeyBytes    int    // 6 to 1024
	TokenKeyFile     string // absolute: where the keys are written
	TokenKeysFile    string // absolute: where they are read from; empty: they are made
	ExemptPing       bool
	ProtectMetrics   bool
	ForwardHeader    bool
	RefusalStatus    int // 400 or 401
	Strict           bool
	ModelAPI         ModelAPI
}

// TokensEnabled reports whether calls need a key.
func (s Security) TokensEnabled() bool { return s.TokensDisabledBy == "" }

// ModelAPI says whether models may be registered and unregistered by calls.
// Refused means that a source says so explicitly; workflows cannot be
// registered then (decisions.md, "workflows").
type ModelAPI struct {
	Enabled bool
	Refused bool
}

// security builds Security. The texts of the token switch are compared as
// 0.12 does, blanks included: a stray one must not turn protection off.
func (r *reader) security() Security {
	refusal, _ := strconv.Atoi(r.mustChoose("token_refusal_status")) // a refused one is a fault
	s := Security{
		TokensDisabledBy: r.tokenSwitch(),
		TokenLifetime:    r.tokenLifetime(),
		TokenKeyBytes:    int(r.int("token_key_bytes")),
		TokenKeyFile:     r.path("token_key_file"),
		TokenKeysFile:    r.path("token_keys_file"),
		ExemptPing:       r.bool("token_exempt_ping"),
		ProtectMetrics:   r.bool("token_protect_metrics"),
		ForwardHeader:    r.bool("token_forward_header"),
		RefusalStatus:    refusal,
		Strict:           r.bool("strict_security"),
	}
	s.ModelAPI.Enabled = r.bool("enable_model_api")
	_, given := r.given("enable_model_api")
	s.ModelAPI.Refused = given && !s.ModelAPI.Enabled
	if s.TokenKeyFile == "" {
		r.refuse("token_key_file", "token_key_file: no path")
	}
	if s.TokenKeysFile != "" && !isFile(s.TokenKeysFile) {
		r.refuse("token_keys_file", "token_keys_file: not found: "+s.TokenKeysFile)
	}
	for _, key := range []string{"disable_token_authorization", "enable_model_api"} {
		if r.source.Kind == SnapshotSource && r.set[key].Origin == FromSnapshot && strings.EqualFold(r.set[key].Value, "true") {
			r.warn(Warning{Key: key, Level: Warn, Text: "Restored from snapshot: " + key + "=true"})
		}
	}
	return s
}

// tokenSwitch names the switch that turns authorization off, or nothing.
func (r *reader) tokenSwitch() string {
	const key = "disable_token_authorization"
	v := r.text(key)
	switch {
	case strings.EqualFold(v, "true"):
		return r.set[key].Where
	case !strings.EqualFold(v, "false"):
		r.lax(key, key+"="+strconv.Quote(v)+" is neither true nor false: token authorization stays on")
	}
	return ""
}

// javaNumber is what 0.12 took for a number: Java's syntax with its suffixes.
var javaNumber = regexp.MustCompile(`^([+-]?(?:NaN|Infinity|[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+))[dDfF]?$`)

// tokenLifetime reads token_expiration_min (TOK §6): whole seconds, never
// below zero.
func (r *reader) tokenLifetime() time.Duration {
	const key, standard = "token_expiration_min", 60 * time.Minute
	m := javaNumber.FindStringSubmatch(r.trimmed(key))
	if m == nil {
		r.warn(Warning{Key: key, Level: Mistake, Lax: true, Text: "Token expiration not a valid integer"})
		return standard
	}
	minutes, err := strconv.ParseFloat(m[1], 64)
	if err != nil || math.Abs(minutes) >= 5e14 { // 0.12's overflow
		r.refuse(key, key+" is out of range")
		return standard
	}
	seconds := math.Trunc(minutes * 60)
	if !(seconds > 0) { // NaN too
		r.warn(Warning{Key: key, Level: Warn, Text: key + "=" + r.trimmed(key) + ": tokens are expired from the start"})
		return 0
	}
	if seconds > float64(math.MaxInt64/time.Second) {
		return math.MaxInt64
	}
	return time.Duration(seconds) * time.Second
}
