package config

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// reader gathers settings, faults and warnings while a Config is built.
type reader struct {
	src      Sources
	env      map[string]string
	jvm      map[string]string // the -D words of vmargs
	source   Source
	set      settings
	file     []Property
	faults   []Fault
	warnings []Warning
}

func newReader(src Sources) *reader {
	r := &reader{src: src, env: make(map[string]string, len(src.Environ)), set: settings{}}
	for _, e := range src.Environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			r.env[name] = value
		}
	}
	return r
}

func (r *reader) fault(f Fault)  { r.faults = append(r.faults, f) }
func (r *reader) warn(w Warning) { r.warnings = append(r.warnings, w) }

// exact records a fault whose line is known to scripts as it is.
func (r *reader) exact(line string) { r.fault(Fault{Message: line, Exact: true}) }

// refuse records a fault of a key, with a text of 0.12 or ours.
func (r *reader) refuse(key, message string) {
	r.fault(Fault{Key: key, Message: message, Where: r.set[key].Where})
}

// lax records something that 0.12 let pass.
func (r *reader) lax(key, text string) {
	r.warn(Warning{Key: key, Text: text, Level: Warn, Lax: true})
}

// given returns the text of a key that a source sets.
func (r *reader) given(key string) (string, bool) {
	p, ok := r.set[key]
	return p.Value, ok
}

// text returns the text of a key, or its default.
func (r *reader) text(key string) string {
	if v, ok := r.given(key); ok {
		return v
	}
	row, _ := Lookup(key) // a key without a row has no default
	return row.Default
}

// trimmed returns the text without blanks around it (D-CFG-5).
func (r *reader) trimmed(key string) string { return strings.TrimSpace(r.text(key)) }

// bool returns whether a key is true; anything else is false, which review
// warns about.
func (r *reader) bool(key string) bool { return strings.EqualFold(r.trimmed(key), "true") }

// int returns the number of a key, within the bounds of its row; not set, it
// is zero.
func (r *reader) int(key string) int64 {
	row, _ := Lookup(key) // a missing row has the bounds 0 and 0
	v := r.trimmed(key)
	if v == "" {
		if _, ok := r.given(key); !ok {
			return 0
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		r.fault(Fault{Key: key, Message: "For input string: " + strconv.Quote(v), Rule: row.String(), Where: r.set[key].Where})
		return 0
	}
	if n < row.Rule.Min || n > row.Rule.Max {
		r.fault(Fault{Key: key, Message: key + ": " + v + " is out of range", Rule: row.String(), Where: r.set[key].Where})
	}
	return n
}

// number is int that also says whether there is nothing wrong with the text.
func (r *reader) number(key string) (int64, bool) {
	before := len(r.faults)
	n := r.int(key)
	return n, len(r.faults) == before
}

// atLeast is int for keys whose smaller values 0.12 took for the least.
func (r *reader) atLeast(key string, least int64) int64 {
	n := r.int(key)
	if n < least {
		r.lax(key, key+"="+strconv.FormatInt(n, 10)+" counts as "+strconv.FormatInt(least, 10))
		return least
	}
	return n
}

func (r *reader) seconds(key string) time.Duration {
	return time.Duration(r.int(key)) * time.Second
}

// choice returns the value of a row's list that the text names in any case,
// or false.
func (r *reader) choice(key string) (string, bool) {
	row, _ := Lookup(key) // a missing row has no values
	v := r.trimmed(key)
	for _, c := range row.Rule.Values {
		if strings.EqualFold(v, c) {
			return c, true
		}
	}
	return row.Default, false
}

// mustChoose is choice for keys that 0.12 does not know.
func (r *reader) mustChoose(key string) string {
	v, ok := r.choice(key)
	if !ok {
		row, _ := Lookup(key) // of a key without a row nothing is said
		r.fault(Fault{Key: key, Message: key + ": " + r.trimmed(key), Rule: row.String(), Where: r.set[key].Where})
	}
	return v
}

// path returns the absolute path of a key; empty stays empty.
func (r *reader) path(key string) string {
	v := r.trimmed(key)
	if v == "" {
		return ""
	}
	return r.abs(v)
}

// list returns the elements of a comma-separated key, without blanks.
func (r *reader) list(key string) []string {
	var all []string
	for item := range strings.SplitSeq(r.text(key), ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

func (r *reader) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.src.Dir, path)
}

// canonical is the absolute path with links resolved, as far as it exists.
func (r *reader) canonical(path string) string {
	path = r.abs(path)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// isSet reports whether a source sets the key.
func (r *reader) isSet(key string) bool {
	_, ok := r.set[key]
	return ok
}
