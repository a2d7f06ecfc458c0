package archive

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// downloadsDir is where the store keeps the origins of downloaded files and
// the downloads that are under way.
const downloadsDir = ".downloads"

const (
	originSuffix = ".json"
	partSuffix   = ".part"
)

// shelf knows which files of the model store are in use by models, and which
// were downloaded from where. A file is downloaded and removed by one
// goroutine at a time: the one that has its turn.
type shelf struct {
	dir string // the model store

	mu    sync.Mutex // guards slots and the existence of downloadsDir
	slots map[string]*slot
}

// slot is one file. Who holds turn may look at models and at the file.
type slot struct {
	turn   chan struct{} // capacity 1: a lock that can be given up
	users  int           // holders of and waiters for turn, and claims; guarded by shelf.mu
	models int
}

// claim is the use of a file by one model. A fetched one ends the file when it
// is the last.
type claim struct {
	name    string
	fetched bool
	slot    *slot
}

// enter waits for the turn on a file.
func (h *shelf) enter(ctx context.Context, name string) (*slot, error) {
	h.mu.Lock()
	s, ok := h.slots[name]
	if !ok {
		s = &slot{turn: make(chan struct{}, 1)}
		h.slots[name] = s
	}
	s.users++
	h.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		return s, nil
	case <-ctx.Done():
		h.drop(name, s)
		return nil, ctx.Err()
	}
}

// leave gives the turn on.
func (h *shelf) leave(name string, s *slot) {
	<-s.turn
	h.drop(name, s)
}

func (h *shelf) drop(name string, s *slot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.users--
	if s.users == 0 {
		delete(h.slots, name)
	}
}

// take makes a claim; the caller has the turn.
func (h *shelf) take(name string, s *slot, fetched bool) *claim {
	s.models++
	h.mu.Lock()
	s.users++
	h.mu.Unlock()
	return &claim{name: name, fetched: fetched, slot: s}
}

// claim notes that a model uses a file that the operator put into the store.
func (h *shelf) claim(ctx context.Context, name string) (*claim, error) {
	s, err := h.enter(ctx, name)
	if err != nil {
		return nil, err
	}
	defer h.leave(name, s)
	return h.take(name, s, false), nil
}

// release ends a claim, and the file with the last one if it was downloaded
// (MAR-066, D-MGT-25). A nil claim is none.
func (h *shelf) release(c *claim) error {
	if c == nil {
		return nil
	}
	c.slot.turn <- struct{}{} // the claim keeps the slot
	defer h.leave(c.name, c.slot)
	c.slot.models--
	h.drop(c.name, c.slot)
	if !c.fetched || c.slot.models > 0 {
		return nil
	}
	return h.remove(c.name)
}

// remove removes a downloaded file and what is known about it.
func (h *shelf) remove(name string) error {
	err := errors.Join(
		ignoreMissing(os.Remove(filepath.Join(h.dir, name))),
		ignoreMissing(os.Remove(h.originPath(name))),
	)
	h.tidy()
	return err
}

// tidy removes the directory of downloads if nothing is in it.
func (h *shelf) tidy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = os.Remove(filepath.Join(h.dir, downloadsDir)) // fails while it is in use
}

// origin says where a file of the store was downloaded from.
type origin struct {
	URL  string `json:"url_sha256"`
	Size int64  `json:"size"` // bytes
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (h *shelf) originPath(name string) string {
	return filepath.Join(h.dir, downloadsDir, digest(name)+originSuffix)
}

// origin returns what is known about a file; nothing if it was not downloaded.
func (h *shelf) origin(name string) (origin, bool) {
	var o origin
	text, err := os.ReadFile(h.originPath(name))
	if err != nil || json.Unmarshal(text, &o) != nil {
		return origin{}, false
	}
	return o, true
}

// part creates the file that a download is written to. It is locked, so that
// other servers on the same store can tell it from a leftover.
func (h *shelf) part() (*os.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dir := filepath.Join(h.dir, downloadsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, rand.Text()+partSuffix)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666) //nolint:gosec // the umask decides, as in 0.12
	if err != nil {
		return nil, err
	}
	_ = lock(f) // not every file system can; then leftovers stay
	return f, nil
}

// keep puts a complete download in its place and notes its origin.
func (h *shelf) keep(part, name string, o origin) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	path := h.originPath(name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	if err := os.Rename(part, filepath.Join(h.dir, name)); err != nil {
		return errors.Join(fmt.Errorf("put download in place: %w", err), os.Remove(path))
	}
	return nil
}

// sweep removes downloads that a server which is gone has left behind.
func (h *shelf) sweep() {
	dir := filepath.Join(h.dir, downloadsDir)
	entries, err := os.ReadDir(dir)
	if err != nil || h.dir == "" {
		return
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partSuffix) {
			removeUnlocked(filepath.Join(dir, e.Name()))
		}
	}
	h.tidy()
}

// removeUnlocked removes a file that no running process has locked.
func removeUnlocked(path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // nothing was written
	if lock(f) == nil {
		_ = os.Remove(path) // a leftover that cannot be removed does no harm
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
