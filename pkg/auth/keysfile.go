package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Rules for keys from outside.
const (
	minKeyLength             = 16      // characters
	maxKeysFile              = 1 << 20 // bytes
	others       fs.FileMode = 0o006   // read, write
)

// given is the file of keys from outside: key_file.json's layout, where a key
// may be a list and an expiry is optional.
type given struct {
	Management givenKeys `json:"management"`
	Inference  givenKeys `json:"inference"`
	API        givenKeys `json:"API"`
}

type givenKeys struct {
	Keys    keyList   `json:"key"`
	Expires time.Time `json:"expiration time"`
}

// keyList is one key or a list of them.
type keyList []string

// UnmarshalJSON reads a string or a list of strings.
func (l *keyList) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte{'['}) {
		return json.Unmarshal(text, (*[]string)(l))
	}
	var one string
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	*l = keyList{one}
	return nil
}

// readKeysFile returns the content of the file at path. The file may be reached
// through links and be readable by its group, as a mounted Kubernetes Secret is.
func readKeysFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is refused below, not waited for
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&others != 0 {
		return nil, fmt.Errorf("mode %#o opens it to everybody: use 0600, or 0640 (of a Secret: defaultMode 0440)", mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if len(text) > maxKeysFile {
		return nil, fmt.Errorf("larger than %d bytes", maxKeysFile)
	}
	return text, err
}

// parseKeysFile returns the keys in text. Its errors quote nothing of it.
func parseKeysFile(text []byte) (*ring, error) {
	var g given
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // a misspelled expiry would make keys eternal
	if err := d.Decode(&g); err != nil {
		return nil, withoutText(err, d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("text after the end of the JSON object at byte %d", d.InputOffset())
	}
	var r ring
	owner := map[digest]Scope{}
	for i, gk := range [kinds]givenKeys{Inference: g.Inference, Management: g.Management, API: g.API} {
		scope := Scope(i)
		if len(gk.Keys) == 0 && scope != API { // which has nothing to renew
			return nil, fmt.Errorf("no %s key", scope)
		}
		ks, err := gk.keys()
		if err != nil {
			return nil, fmt.Errorf("%s %w", scope, err)
		}
		for _, d := range ks.digests {
			if o, taken := owner[d]; taken && o != scope {
				return nil, errors.New("two kinds share a key")
			}
			owner[d] = scope
		}
		r[scope] = ks
	}
	return &r, nil
}

// keys checks the keys of one kind. An expiry is kept as the wall time that its
// author wrote.
func (g givenKeys) keys() (keys, error) {
	ks := keys{expires: g.Expires, told: new(atomic.Bool)}
	for _, text := range g.Keys {
		if len(text) < minKeyLength {
			return keys{}, fmt.Errorf("key is shorter than %d characters", minKeyLength)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return keys{}, errors.New("key has characters that are not printable ASCII, or blanks")
		}
		ks.digests = append(ks.digests, digestOf(text))
	}
	return ks, nil
}

// withoutText says where reading failed; the decoder's own texts may quote keys.
func withoutText(err error, offset int64) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("a value of the wrong type before byte %d", offset)
	default:
		return fmt.Errorf("not in the layout of key_file.json before byte %d", offset)
	}
}

func fingerprint(text []byte) digest { return sha256.Sum256(text) }
