package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// usageError is a command line that makes no sense; its text follows
// "torchserve: error: ".
type usageError struct{ reason string }

func (e *usageError) Error() string { return e.reason }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// arity is the number of values that an option takes.
type arity uint8

const (
	none arity = iota
	one
	many // one and more, up to the next option
)

// option is one option as 0.12's argument parser sees it.
type option struct {
	spellings []string // with dashes, the name first
	takes     arity
	action    bool // excludes the other actions
}

// name returns the option's name without dashes.
func (o *option) name() string {
	for _, s := range o.spellings {
		if name, long := strings.CutPrefix(s, "--"); long {
			return name
		}
	}
	return ""
}

func (o *option) String() string { return strings.Join(o.spellings, "/") }

// options are those of CLI §1, and --python.
//
//nolint:gochecknoglobals // read-only table
var options = []option{
	{spellings: []string{"-h", "--help"}},
	{spellings: []string{"-v", "--version"}, action: true},
	{spellings: []string{"--start"}, action: true},
	{spellings: []string{"--stop"}, action: true},
	{spellings: []string{"--ts-config"}, takes: one},
	{spellings: []string{"--model-store"}, takes: one},
	{spellings: []string{"--workflow-store"}, takes: one},
	{spellings: []string{"--models"}, takes: many},
	{spellings: []string{"--log-config"}, takes: one},
	{spellings: []string{"--cpp-log-config"}, takes: one},
	{spellings: []string{"--foreground"}},
	{spellings: []string{"--no-config-snapshots", "--ncs"}},
	{spellings: []string{"--plugins-path", "--ppath"}, takes: one},
	{spellings: []string{"--disable-token-auth", "--dt"}},
	{spellings: []string{"--enable-model-api"}},
	{spellings: []string{"--python"}, takes: one},
}

// given is an option with its values as found on the command line.
type given struct {
	option *option
	values []string
}

// normalize rewrites a command line in the grammar of 0.12 (Python's argparse,
// CLI §1) into one that every flag parser reads in the same way: unambiguous
// prefixes become whole names, values are joined by "=", an option with several
// values is repeated, and of an option given twice only the last one is kept.
// Its errors are usage errors.
func normalize(args []string) ([]string, error) {
	var all []given
	var unknown []string
	for len(args) > 0 {
		if args[0] == "--" { // what follows are arguments, which nobody takes
			unknown = append(unknown, args...)
			break
		}
		args = unbundle(args)
		_, value, joined := split(args[0])
		o, err := find(args[0])
		if err != nil {
			return nil, err
		}
		if o == nil {
			unknown = append(unknown, args[0])
			args = args[1:]
			continue
		}
		g := given{option: o}
		if joined {
			args, g.values, err = args[1:], []string{value}, o.refuses(value)
		} else {
			g.values, args, err = o.take(args[1:])
		}
		if err == nil {
			err = excludes(all, o)
		}
		if err != nil {
			return nil, err
		}
		if o.name() == "help" { // argparse stops here
			return []string{"--help"}, nil
		}
		all = slices.DeleteFunc(all, func(e given) bool { return e.option == o })
		all = append(all, g)
	}
	if len(unknown) > 0 {
		return nil, usagef("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	return rejoin(all), nil
}

func rejoin(all []given) []string {
	var out []string
	for _, g := range all {
		if g.option.takes == none {
			out = append(out, "--"+g.option.name())
		}
		for _, v := range g.values {
			out = append(out, "--"+g.option.name()+"="+v)
		}
	}
	return out
}

// split cuts a word into the name of an option and the value joined to it, by
// "=" or directly behind a short name.
func split(word string) (name, value string, joined bool) {
	name, value, joined = strings.Cut(word, "=")
	if len(name) > 2 && name[0] == '-' && name[1] != '-' {
		return word[:2], word[2:], true
	}
	return name, value, joined
}

// unbundle splits short options that share a dash, such as -vh, off the first
// word.
func unbundle(args []string) []string {
	name, rest, joined := split(args[0])
	if !joined || !isShort(name) || rest == "" || !isShort("-"+rest[:1]) {
		return args
	}
	return append([]string{name, "-" + rest}, args[1:]...)
}

// isShort reports whether word is the short name of an option.
func isShort(word string) bool {
	return len(word) == 2 && slices.ContainsFunc(options, func(o option) bool { return slices.Contains(o.spellings, word) })
}

// find returns the option that word names, wholly or by a prefix that fits only
// one spelling; nil if none fits.
func find(word string) (*option, error) {
	given := word
	word, _, _ = split(word)
	var fits []string
	var found *option
	for i := range options {
		for _, s := range options[i].spellings {
			if s == word {
				return &options[i], nil
			}
			if strings.HasPrefix(word, "--") && len(word) > 2 && strings.HasPrefix(s, word) {
				fits, found = append(fits, s), &options[i]
			}
		}
	}
	if len(fits) > 1 {
		return nil, usagef("ambiguous option: %s could match %s", given, strings.Join(fits, ", "))
	}
	return found, nil
}

// excludes returns an error if o and an option before it are both actions.
func excludes(before []given, o *option) error {
	for _, g := range before {
		if g.option.action && o.action && g.option != o {
			return usagef("argument %v: not allowed with argument %v", o, g.option)
		}
	}
	return nil
}

// refuses returns an error if the option takes no value.
func (o *option) refuses(value string) error {
	if o.takes == none {
		return usagef("argument %v: ignored explicit argument '%s'", o, value)
	}
	return nil
}

// take cuts the option's values from the words behind it.
func (o *option) take(words []string) (values, rest []string, err error) {
	n := 0
	for n < len(words) && (o.takes == many || o.takes == one && n == 0) && isValue(words[n]) {
		n++
	}
	switch {
	case n > 0 || o.takes == none:
		return words[:n], words[n:], nil
	case o.takes == many:
		return nil, nil, usagef("argument %v: expected at least one argument", o)
	default:
		return nil, nil, usagef("argument %v: expected one argument", o)
	}
}

// isValue reports whether a word can be the value of an option. Of those with a
// dash in front, a lone dash can, and what names no option and is a negative
// number or has a blank in it.
func isValue(word string) bool {
	if word == "-" || !strings.HasPrefix(word, "-") {
		return true
	}
	if o, err := find(word); o != nil || err != nil {
		return false
	}
	return strings.Contains(word, " ") || negative.MatchString(word)
}

var negative = regexp.MustCompile(`^-(\d+|\d*\.\d+)$`)
