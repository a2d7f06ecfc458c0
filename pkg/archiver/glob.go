package archiver

import (
	"path/filepath"
	"strings"
)

// isPattern reports whether a path has wildcards: *, ? or a pair of brackets.
func isPattern(text string) bool {
	return strings.ContainsAny(text, "*?") || closing(text, strings.IndexByte(text, '[')) >= 0
}

// closing returns where the brackets that open at a place are closed, or -1. A
// bracket directly behind the opening one stands for itself.
func closing(text string, at int) int {
	if at < 0 {
		return -1
	}
	first := at + 1
	if strings.HasPrefix(text[first:], "!") {
		first++
	}
	first = min(first+1, len(text)) // at least one character is between them
	end := strings.IndexByte(text[first:], ']')
	if end < 0 {
		return -1
	}
	return first + end
}

// glob returns the paths that match a pattern of Python's module glob, not
// recursively, in order. Wildcards do not match a dot at the beginning of a name.
func glob(pattern string) ([]string, error) {
	pattern = filepath.Clean(pattern)
	found, err := filepath.Glob(translate(pattern))
	if err != nil {
		return nil, refuse("Invalid wildcard pattern: %s", pattern)
	}
	var matches []string
	for _, f := range found {
		if !hasHidden(f, pattern) {
			matches = append(matches, f)
		}
	}
	return matches, nil
}

// translate writes a pattern as Go has them: backslashes are escapes there, and
// ^ says what ! does.
func translate(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			out.WriteString(`\\`)
		case c == '[' && closing(pattern, i) < 0:
			out.WriteString(`\[`)
		case c == '[':
			end := closing(pattern, i)
			out.WriteString("[" + class(pattern[i+1:end]) + "]")
			i = end
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// class translates what is between brackets, where a hyphen at one of the ends
// stands for itself.
func class(text string) string {
	text, negated := strings.CutPrefix(text, "!")
	text, first := strings.CutPrefix(text, "-")
	text, last := strings.CutSuffix(text, "-")
	text = strings.NewReplacer(`\`, `\\`, `^`, `\^`, `]`, `\]`, `[`, `\[`).Replace(text)
	if first || last {
		text += `\-`
	}
	if negated {
		return "^" + text
	}
	return text
}

// hasHidden reports whether a wildcard of the pattern stands for a dot at the
// beginning of a name of the match.
func hasHidden(match, pattern string) bool {
	names, wanted := strings.Split(match, "/"), strings.Split(pattern, "/")
	for len(names) > 0 && len(wanted) > 0 {
		name, want := names[len(names)-1], wanted[len(wanted)-1]
		if strings.HasPrefix(name, ".") && !strings.HasPrefix(want, ".") {
			return true
		}
		names, wanted = names[:len(names)-1], wanted[:len(wanted)-1]
	}
	return false
}
