package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Type is the kind of text that a key holds.
type Type string

// The types of keys, as the documentation names them.
const (
	Text     Type = "text"
	Bool     Type = "boolean"
	Int      Type = "integer"
	Decimal  Type = "decimal"
	Choice   Type = "choice"
	Path     Type = "path"
	Bind     Type = "address"
	HostName Type = "host"
	Pattern  Type = "regex"
	List     Type = "list"
	JSON     Type = "JSON"
)

// Group is the part of the server that a key belongs to.
type Group string

// The groups, in the order of the documentation.
const (
	Listeners   Group = "Listeners and TLS"
	Requests    Group = "HTTP and gRPC"
	Archives    Group = "Models and archives"
	WorkerGroup Group = "Workers"
	Guard       Group = "Security"
	Figures     Group = "Metrics"
	LogGroup    Group = "Logging"
	States      Group = "Snapshots and shutdown"
	Other       Group = "Other"
)

// Rule bounds a value: Min to Max for integers, one of Values for choices.
type Rule struct {
	Min, Max int64
	Values   []string
}

// Environment variables of a row: the regular one, or none.
const (
	std  = "TS_*"
	none = ""
)

// Key is one row of the table: everything known about a key. A Default of ""
// means that it is not set unless a source sets it. Flag is the option of the
// command line that sets it, empty if there is none.
type Key struct {
	Name    string
	env     string
	Flag    string
	Type    Type
	Unit    string
	Default string
	Rule    Rule
	Group   Group
	Doc     string // one sentence
}

// Variable returns the environment variable that sets the key, or the empty
// text.
func (k Key) Variable() string {
	if k.env == std {
		return "TS_" + strings.ToUpper(k.Name)
	}
	return k.env
}

// variables returns the environment variables of the key, weakest first.
func (k Key) variables() []string {
	switch {
	case k.env == none:
		return nil
	case k.Name == "token_expiration_min": // D-CFG-7
		return []string{"TS_TOKEN_EXPIRATION_MIN", k.env}
	default:
		return []string{k.Variable()}
	}
}

// Always reports whether the variable of the key is read without
// enable_envvars_config.
func (k Key) Always() bool {
	return k.Name == "ts_open_inference_protocol" || k.Name == "token_keys_file" || k.Name == "model_server_home"
}

// Keys returns all rows, group by group.
func Keys() []Key { return slices.Clone(table) }

// Lookup returns the row of a key, or false for keys that are not the
// server's.
func Lookup(name string) (Key, bool) {
	i := slices.IndexFunc(table, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return table[i], true
}

// String describes what a value must be.
func (k Key) String() string {
	switch {
	case k.Rule.Values != nil:
		return "one of " + strings.Join(k.Rule.Values, ", ")
	case k.Type == Int && k.Rule.Max == maxInt64:
		return fmt.Sprintf("an integer of at least %d", k.Rule.Min)
	case k.Type == Int:
		return "an integer from " + strconv.FormatInt(k.Rule.Min, 10) + " to " + strconv.FormatInt(k.Rule.Max, 10)
	default:
		return string(k.Type)
	}
}

func from(minimum int64) Rule             { return Rule{Min: minimum, Max: maxInt32} }
func between(minimum, maximum int64) Rule { return Rule{Min: minimum, Max: maximum} }
func oneOf(values ...string) Rule         { return Rule{Values: values} }

const (
	minInt32 = -1 << 31
	maxInt32 = 1<<31 - 1
	minInt64 = -1 << 63
	maxInt64 = 1<<63 - 1
)
