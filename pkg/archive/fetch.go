package archive

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// fetch returns the file of the store that the URL was, or now is, downloaded
// to.
func (s *Store) fetch(ctx context.Context, r Request, base string) (place, error) {
	target, err := url.Parse(r.URL)
	if err != nil {
		return place{}, downloadError(r.URL, err)
	}
	if p, ok := s.inPlace(target); ok {
		return p, nil
	}
	slot, err := s.shelf.enter(ctx, base)
	if err != nil {
		return place{}, downloadError(r.URL, err)
	}
	defer s.shelf.leave(base, slot)

	have, err := s.have(base, r.URL)
	if err != nil {
		return place{}, err
	}
	if have < 0 || slot.models == 0 && !r.Stored {
		if err := s.download(ctx, r, target, base, have); err != nil {
			return place{}, downloadError(r.URL, err)
		}
	}
	return place{path: s.Path(base), claim: s.shelf.take(base, slot, true)}, nil
}

// inPlace recognizes a file:// URL of something in the store (MAR §3.5).
func (s *Store) inPlace(target *url.URL) (place, bool) {
	if !strings.EqualFold(target.Scheme, "file") || !inside(target.Path, s.cfg.ModelStore) {
		return place{}, false
	}
	return place{path: filepath.Clean(target.Path), isDir: isDir(target.Path)}, true
}

// have returns the size of an earlier download from the same URL, or -1 if
// there is none or it is damaged. Any other file of that name is the
// operator's, or another URL's, and is not overwritten (MAR-051).
func (s *Store) have(base, location string) (int64, error) {
	info, err := os.Lstat(s.Path(base))
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	o, known := s.shelf.origin(base)
	switch {
	case err != nil || !known || o.URL != digest(location) || !info.Mode().IsRegular():
		return 0, fault.Wrap(fault.Internal, "Model file already exists "+base, err)
	case o.Size != info.Size():
		return -1, nil
	default:
		return o.Size, nil
	}
}

// download stores the body behind the URL under base, by way of a temporary
// file. If it has the size of the file that is there, that one is kept.
func (s *Store) download(ctx context.Context, r Request, target *url.URL, base string, have int64) error {
	ctx, p := withPatience(ctx, s.cfg.Limits)
	defer p.stop()
	t := &transfer{name: base, limit: s.cfg.Limits.Download, stop: ctx.Err, patience: p, log: s.log, next: time.Now().Add(progressInterval)}
	err := s.transfer(ctx, r, target, t, have)
	if limit, ok := errors.AsType[*limitError](context.Cause(ctx)); ok && err != nil {
		return limit
	}
	return err
}

func (s *Store) transfer(ctx context.Context, r Request, target *url.URL, t *transfer, have int64) (err error) {
	body, size, err := s.open(ctx, r, target)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // its bytes are here
	t.patience.renew()
	if have >= 0 && size == have {
		return nil
	}
	t.total = size
	if err := t.check(size); err != nil {
		return err
	}
	part, err := s.shelf.part()
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, part.Close(), ignoreMissing(os.Remove(part.Name())))
		if err != nil {
			s.shelf.tidy()
		}
	}()
	n, err := io.Copy(io.MultiWriter(t, part), body)
	if err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if _, err := s.have(t.name, r.URL); err != nil { // somebody has put a file there meanwhile
		return err
	}
	return s.shelf.keep(part.Name(), t.name, origin{URL: digest(r.URL), Size: n})
}

// downloadError makes the answer of a failed download. Refusals keep theirs;
// the URL in the text of net/http's errors may hold a signature and goes.
func downloadError(location string, err error) error {
	if refused, ok := errors.AsType[*fault.Error](err); ok {
		return refused
	}
	if refusal, ok := errors.AsType[*addressError](err); ok {
		return &fault.Error{
			Kind: fault.ModelNotFound, Message: notAllowedText(cmp.Or(refusal.url, location)), Err: refusal,
			Hint: "a link-local address is fetched from if allowed_urls names its host",
		}
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return &fault.Error{
		Kind: fault.Download, Message: "Failed to download archive from: " + location, Details: details(err), Err: err,
	}
}
