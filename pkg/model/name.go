package model

import (
	"cmp"
	"slices"
	"strconv"
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
// without a name in command or manifest: the last component, cut at its last
// dot if the text contains .mar or .model, every character that is not an
// ASCII letter, digit or underscore replaced by an underscore, a leading
// underscore kept as one (CFG-037, MAR-079).
func DeriveName(location string) Name {
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
// as numbers where both are numbers, else as text (MGT-049).
func CompareVersions(a, b Version) int {
	as, bs := strings.Split(string(a), "."), strings.Split(string(b), ".")
	return slices.CompareFunc(as, bs, func(x, y string) int {
		nx, errX := strconv.ParseUint(x, 10, 64)
		ny, errY := strconv.ParseUint(y, 10, 64)
		if errX == nil && errY == nil {
			if c := cmp.Compare(nx, ny); c != 0 {
				return c
			}
		}
		return cmp.Compare(x, y)
	})
}
