package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// instant is a time of the key file: ISO 8601, UTC, with the six digits that
// every reader of 0.12's files knows.
const instant = "2006-01-02T15:04:05.000000Z"

const (
	ownerOnly fs.FileMode = 0o600
	beyond    fs.FileMode = 0o077 // group and others
)

// written is key_file.json, in the order of 0.12.
type written struct {
	Management writtenKey `json:"management"`
	Inference  writtenKey `json:"inference"`
	API        writtenKey `json:"API"`
}

type writtenKey struct {
	Key     string `json:"key"`
	Expires string `json:"expiration time,omitempty"`
}

func (k keys) written() writtenKey {
	w := writtenKey{Key: k.text}
	if !k.expires.IsZero() {
		w.Expires = k.expires.UTC().Format(instant)
	}
	return w
}

// writeKeyFile puts r into the file at path. There is no moment at which others
// could read it, or read half of it, and a link at path is not followed.
func writeKeyFile(path string, r *ring) error {
	text, err := json.MarshalIndent(written{
		Management: r[Management].written(),
		Inference:  r[Inference].written(),
		API:        r[API].written(),
	}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key_file-*") // new, mode 0600
	if err != nil {
		return err
	}
	err = errors.Join(fill(f, text), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func fill(f *os.File, text []byte) error {
	if err := f.Chmod(ownerOnly); err != nil { // a strict umask takes too much
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&beyond != 0 { // some file systems ignore modes
		return fmt.Errorf("the file system gives the file mode %#o instead of %#o", mode, ownerOnly)
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

// removeKeyFile removes the file at path if it holds the API key of r: another
// server may have put its own there.
func removeKeyFile(path string, r *ring) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var w written
	if ours := json.Unmarshal(text, &w) == nil && w.API.Key == r[API].text; !ours {
		return nil
	}
	return os.Remove(path)
}

// expiry returns the end of a lifetime that begins at now. It keeps the
// monotonic reading of now, so steps of the wall clock move no expiry
// (D-TOK-13).
func expiry(now time.Time, lifetime time.Duration) time.Time {
	return now.Add(lifetime.Truncate(time.Second)) // compat(0.12): whole seconds, TOK §6
}
