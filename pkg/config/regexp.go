package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// errClass refuses what Go would read otherwise than Java, without a word.
var errClass = errors.New("character classes inside character classes, and &&, are not supported")

// compileWhole compiles a Java regular expression that must match a whole
// text. What Go's syntax lacks (look-around, possessive quantifiers, class
// intersection) is an error, never another meaning.
func compileWhole(text, flags string) (*regexp.Regexp, error) {
	if err := checkClasses(text); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	if _, err := regexp.Compile(text); err != nil { // before it is wrapped, for the text of the error
		return nil, err
	}
	return regexp.Compile("^(?" + flags + ":" + text + ")$")
}

// checkClasses finds classes inside of classes and intersections.
func checkClasses(text string) error {
	inside := false
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], `\Q`):
			end := strings.Index(text[i:], `\E`)
			if end < 0 {
				return nil
			}
			i += end + 1
		case text[i] == '\\':
			i++
		case !inside && text[i] == '[':
			inside = true
			if strings.HasPrefix(text[i+1:], "^") {
				i++
			}
		case inside && (text[i] == '[' || strings.HasPrefix(text[i:], "&&")):
			return errClass
		case inside && text[i] == ']':
			inside = false
		}
	}
	return nil
}
