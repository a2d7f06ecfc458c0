package argparse

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Error is a command line that makes no sense; its text is what Python says
// behind "<program>: error: ".
type Error struct{ Reason string }

func (e *Error) Error() string { return e.Reason }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Arity is the number of values that an option takes.
type Arity uint8

// The arities.
const (
	None Arity = iota
	One
	Many // one and more, up to the next option
)

// Option is one option of a command.
type Option struct {
	Spellings []string // with dashes; the first one of two dashes is the name
	Takes     Arity
	Action    bool     // excludes the other actions
	Required  bool     // the command line must have it
	Choices   []string // what its values can be; nil: anything
}

// name returns the option's name without dashes.
func (o *Option) name() string {
	for _, s := range o.Spellings {
		if name, long := strings.CutPrefix(s, "--"); long {
			return name
		}
	}
	return ""
}

func (o *Option) String() string { return strings.Join(o.Spellings, "/") }

// Grammar is the options of a command, in the order in which messages name
// them. It takes no arguments beside them. An option named help ends the
// reading.
type Grammar []Option

// given is an option with its values as found on the command line.
type given struct {
	option *Option
	values []string
}

// Normalize rewrites a command line into one that every flag parser reads in
// the same way: unambiguous prefixes become whole names, values are joined by
// "=", an option with several values is repeated, and of an option given twice
// only the last one is kept. With help in it nothing else is left. The result is
// never nil, which cobra takes for the arguments of the process. All its errors
// are of type *Error.
func (g Grammar) Normalize(args []string) ([]string, error) {
	var all []given
	var unknown []string
	for len(args) > 0 {
		if args[0] == "--" { // what follows are arguments, which nobody takes
			unknown = append(unknown, args...)
			break
		}
		args = g.unbundle(args)
		o, err := g.find(args[0])
		if err != nil {
			return nil, err
		}
		if o == nil {
			unknown = append(unknown, args[0])
			args = args[1:]
			continue
		}
		found, rest, err := g.take(o, args)
		if err == nil {
			err = o.chosen(found.values)
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
		args = rest
		all = slices.DeleteFunc(all, func(e given) bool { return e.option == o })
		all = append(all, found)
	}
	if err := g.complete(all); err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		return nil, errorf("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	return rejoin(all), nil
}

// complete returns an error if an option is missing.
func (g Grammar) complete(all []given) error {
	var missing []string
	for i := range g {
		o := &g[i]
		if o.Required && !slices.ContainsFunc(all, func(e given) bool { return e.option == o }) {
			missing = append(missing, o.String())
		}
	}
	if len(missing) > 0 {
		return errorf("the following arguments are required: %s", strings.Join(missing, ", "))
	}
	return nil
}

func rejoin(all []given) []string {
	out := []string{}
	for _, g := range all {
		if g.option.Takes == None {
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
func (g Grammar) unbundle(args []string) []string {
	name, rest, joined := split(args[0])
	first := g.short(name)
	if !joined || first == nil || first.Takes != None || rest == "" || g.short("-"+rest[:1]) == nil {
		return args
	}
	return append([]string{name, "-" + rest}, args[1:]...)
}

// short returns the option whose short name word is, or nil.
func (g Grammar) short(word string) *Option {
	at := slices.IndexFunc(g, func(o Option) bool { return slices.Contains(o.Spellings, word) })
	if len(word) != 2 || at < 0 {
		return nil
	}
	return &g[at]
}

// find returns the option that word names, wholly or by a prefix that fits only
// one spelling; nil if none fits.
func (g Grammar) find(word string) (*Option, error) {
	given := word
	word, _, _ = split(word)
	var fits []string
	var found *Option
	for i := range g {
		for _, s := range g[i].Spellings {
			if s == word {
				return &g[i], nil
			}
			if strings.HasPrefix(word, "--") && len(word) > 2 && strings.HasPrefix(s, word) {
				fits, found = append(fits, s), &g[i]
			}
		}
	}
	if len(fits) > 1 {
		return nil, errorf("ambiguous option: %s could match %s", given, strings.Join(fits, ", "))
	}
	return found, nil
}

// excludes returns an error if o and an option before it are both actions.
func excludes(before []given, o *Option) error {
	for _, g := range before {
		if g.option.Action && o.Action && g.option != o {
			return errorf("argument %v: not allowed with argument %v", o, g.option)
		}
	}
	return nil
}

// chosen returns an error unless the values are among the choices.
func (o *Option) chosen(values []string) error {
	for _, v := range values {
		if o.Choices != nil && !slices.Contains(o.Choices, v) {
			return errorf("argument %v: invalid choice: '%s' (choose from '%s')", o, v, strings.Join(o.Choices, "', '"))
		}
	}
	return nil
}

// take cuts an option, which is the first word, and its values from the words.
func (g Grammar) take(o *Option, words []string) (found given, rest []string, err error) {
	_, value, joined := split(words[0])
	words = words[1:]
	if joined && o.Takes == None {
		return given{}, nil, errorf("argument %v: ignored explicit argument '%s'", o, value)
	}
	if joined {
		return given{o, []string{value}}, words, nil
	}
	n := 0
	for n < len(words) && (o.Takes == Many || o.Takes == One && n == 0) && g.isValue(words[n]) {
		n++
	}
	switch {
	case n > 0 || o.Takes == None:
		return given{o, words[:n]}, words[n:], nil
	case o.Takes == Many:
		return given{}, nil, errorf("argument %v: expected at least one argument", o)
	default:
		return given{}, nil, errorf("argument %v: expected one argument", o)
	}
}

// isValue reports whether a word can be the value of an option. Of those with a
// dash in front, a lone dash can, and what names no option and is a negative
// number or has a blank in it.
func (g Grammar) isValue(word string) bool {
	if word == "-" || !strings.HasPrefix(word, "-") {
		return true
	}
	if o, err := g.find(word); o != nil || err != nil {
		return false
	}
	return strings.Contains(word, " ") || negative.MatchString(word)
}

var negative = regexp.MustCompile(`^-(\d+|\d*\.\d+)$`)
