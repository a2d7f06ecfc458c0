package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Key is a key with its end; the zero Expires: it has none. Printed, it shows
// nothing of its text.
type Key struct {
	Text    string
	Expires time.Time
}

// String stands for the key where it must not be seen.
func (Key) String() string { return "REDACTED" }

// Format keeps the text out of all verbs of fmt.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// Expired reports whether the key had an end before now.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && now.After(k.Expires) }

// maxKeyFile is the size of the largest key file that is read, in bytes.
const maxKeyFile = 1 << 20

// ReadKeys reads a key file: key_file.json of a server, or the file that it
// takes its keys from, where a key may be a list. Of a list the first one counts,
// which holds on both sides of a change. The errors quote nothing of the file.
func ReadKeys(f io.Reader) (map[Kind]Key, error) {
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	var file map[Kind]struct {
		Key     keyList   `json:"key"`
		Expires time.Time `json:"expiration time"`
	}
	if len(content) > maxKeyFile || json.Unmarshal(content, &file) != nil {
		return nil, errors.New("not in the form of key_file.json")
	}
	keys := make(map[Kind]Key, len(file))
	for kind, k := range file {
		if len(k.Key) > 0 {
			keys[kind] = Key{Text: k.Key[0], Expires: k.Expires}
		}
	}
	return keys, nil
}

// keyList is one key or a list of them.
type keyList []string

// UnmarshalJSON reads a string or a list of strings.
func (l *keyList) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte{'['}) {
		return json.Unmarshal(text, (*[]string)(l)) //nolint:wrapcheck // ReadKeys words it
	}
	*l = make(keyList, 1)
	return json.Unmarshal(text, &(*l)[0]) //nolint:wrapcheck // the same
}
