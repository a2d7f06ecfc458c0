package model

import (
	"cmp"
	"slices"
	"strings"
)

// Name is the registered name of a model. 0.12 applies no rule to its
// characters, so neither do we; the empty name is never registered.
type Name string

// Version is the text of a model version, "1.0" by default. The empty version
// in a Ref means the default version of the name.
type Version string

// DefaultVersion is the version of an archive whose manifest names none.
const DefaultVersion Version = "1.0"

// Ref names a model version the way a client does.
type Ref struct {
	Name    Name
	Version Version // empty: the default version
}

// VersionOrDefault returns the version as metrics show it: the literal text
// "default" when the client named none.
func (r Ref) VersionOrDefault() string {
	if r.Version == "" {
		return "default"
	}
	return string(r.Version)
}

// DeriveName makes the name of a model from its location, for start-up loading
// without a name in command or manifest: the last component (of a directory too), cut at its last
// dot if the text contains .mar or .model, every character that is not an
// ASCII letter, digit or underscore replaced by an underscore, a leading
// underscore kept as one (CFG-037, MAR-079).
func DeriveName(location string) Name {
	location = strings.TrimRight(location, `/\`)
	base := location[strings.LastIndexAny(location, `/\`)+1:]
	if strings.Contains(location, ".model") || strings.Contains(location, ".mar") {
		if dot := strings.LastIndexByte(base, '.'); dot >= 0 {
			base = base[:dot]
		}
	}
	return Name(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		default:
			return '_'
		}
	}, base))
}

// CompareVersions orders versions for listings: dot-separated parts, compared
// as numbers where both are numbers, else as text, numbers first (MGT-049).
// Only the same text compares as equal.
func CompareVersions(a, b Version) int {
	as, bs := strings.Split(string(a), "."), strings.Split(string(b), ".")
	return cmp.Or(slices.CompareFunc(as, bs, comparePart), strings.Compare(string(a), string(b)))
}

func comparePart(x, y string) int {
	nx, ny := isNumber(x), isNumber(y)
	switch {
	case nx && ny:
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y))
	case nx:
		return -1
	case ny:
		return 1
	default:
		return strings.Compare(x, y)
	}
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
