package config

import (
	"slices"
	"strings"
)

// Origin is where the value of a key came from, weakest first.
type Origin uint8

// The origins of a value.
const (
	ByDefault Origin = iota
	FromFile
	FromSnapshot
	FromFlag
	FromEnv
)

// Fault is one thing wrong with the configuration. Message names what is
// wrong with which value, in the text of 0.12 where it has one; Exact means
// that it is the whole line, as scripts know it.
type Fault struct {
	Message string
	Exact   bool
	Key     string // empty where no key is at fault
	Rule    string // what would be right
	Where   string // "config.properties", "--model-store", "TS_MODEL_STORE"
}

// Error is everything wrong with the configuration, in the order in which an
// operator should look at it. The command prints it on standard output and
// exits with 1.
type Error struct {
	Faults []Fault
	Source Source // as far as it was read
}

// Error returns one line per fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// String returns the line that 0.12 printed, followed by key, rule and source
// in parentheses, which it did not say.
func (f Fault) String() string {
	if f.Exact {
		return f.Message
	}
	return "Invalid configuration: " + f.Message + f.context()
}

func (f Fault) context() string {
	var parts []string
	for _, p := range []string{f.Key, f.Rule, f.Where} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// Level is how loudly a warning is logged.
type Level uint8

// The levels of warnings.
const (
	Info Level = iota
	Warn
	Mistake // logged as ERROR, as 0.12 did
)

// Warning is something an operator should know about a configuration that is
// accepted. Lax ones are what strict_parameters refuses.
type Warning struct {
	Key   string
	Text  string
	Level Level
	Lax   bool
}

// Property is a key with its value and where that came from.
type Property struct {
	Key    string
	Value  string
	Origin Origin
	Where  string // file, flag or variable, as its user wrote it
}

// settings are the effective texts, by key.
type settings map[string]Property

// Effective returns all keys that are set by a source, with the values that
// hold, sorted by key. Secrets are among them.
func (c Config) Effective() []Property {
	all := make([]Property, 0, len(c.set))
	for _, p := range c.set {
		if p.Origin != ByDefault {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Property) int { return strings.Compare(a.Key, b.Key) })
	return all
}
