package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// maxRedirects of one download, as in 0.12.
const maxRedirects = 20

var errIdle = errors.New("no data received for " + idleLimit.String())

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

	path := filepath.Join(s.cfg.ModelStore, base)
	have, err := s.have(path, base, r.URL)
	if err != nil {
		return place{}, err
	}
	if have < 0 || slot.models == 0 && !r.Stored {
		if err := s.download(ctx, r, target, base, have); err != nil {
			return place{}, downloadError(r.URL, err)
		}
	}
	return place{path: path, claim: s.shelf.take(base, slot, true)}, nil
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
func (s *Store) have(path, base, location string) (int64, error) {
	info, err := os.Lstat(path)
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
func (s *Store) download(ctx context.Context, r Request, target *url.URL, base string, have int64) (err error) {
	body, size, err := s.open(ctx, r, target)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // its bytes are here
	if have >= 0 && size == have {
		return nil
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
	n, err := s.copy(part, body)
	if err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	return s.shelf.keep(part.Name(), base, origin{URL: digest(r.URL), Size: n})
}

// copy copies a download up to the limit.
func (s *Store) copy(dst io.Writer, src io.Reader) (int64, error) {
	limit := s.cfg.Limits.Download
	if limit == 0 {
		return io.Copy(dst, src)
	}
	n, err := io.Copy(dst, io.LimitReader(src, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("larger than %d bytes (archive_max_download_bytes)", limit)
	}
	return n, err
}

// open returns the bytes behind a URL and how many there are, -1 if that is
// not known.
func (s *Store) open(ctx context.Context, r Request, target *url.URL) (io.ReadCloser, int64, error) {
	if strings.EqualFold(target.Scheme, "file") {
		return openFile(target)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := s.get(ctx, r, target)
	if err != nil {
		cancel(nil)
		return nil, 0, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		cancel(nil)
		return nil, 0, errors.Join(fmt.Errorf("status %s", resp.Status), resp.Body.Close())
	}
	return newIdleBody(resp.Body, idleLimit, cancel), resp.ContentLength, nil
}

func openFile(target *url.URL) (io.ReadCloser, int64, error) {
	if target.Host != "" && !strings.EqualFold(target.Host, "localhost") {
		return nil, 0, fmt.Errorf("file URL with the host %q", target.Host)
	}
	info, err := os.Stat(target.Path) //nolint:gosec // allowed_urls admitted it
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	f, err := os.Open(target.Path) //nolint:gosec // the same
	return f, info.Size(), err
}

// get sends the request, signed if it is for S3, and follows redirects. The
// user in a URL is not sent, as in 0.12.
func (s *Store) get(ctx context.Context, r Request, target *url.URL) (*http.Response, error) {
	bare := *target
	bare.User = nil
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, bare.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if r.S3SSEKMS {
		if err := s.sign(req); err != nil {
			return nil, err
		}
	}
	client := http.Client{Transport: s.via, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		return s.redirect(r, next, via)
	}}
	return client.Do(req)
}

// redirect judges where a redirect leads, as if it had been asked for, and
// keeps what belongs to the first host from others.
func (s *Store) redirect(r Request, next *http.Request, via []*http.Request) error {
	first, target := via[0].URL, next.URL.String()
	next.Header.Del("Referer")
	for _, h := range []string{"Authorization", headerDate, headerHash, headerToken} {
		next.Header.Del(h)
	}
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case next.URL.Scheme != first.Scheme:
		return fmt.Errorf("redirect from %s to %s", first.Scheme, next.URL.Scheme)
	case climbs(target):
		return fault.New(fault.ModelNotFound, relativePath+target)
	case !s.allowed(target):
		return notAllowed(target)
	case r.S3SSEKMS && next.URL.Host == first.Host:
		return s.sign(next)
	default:
		return nil
	}
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
	return fault.Wrap(fault.Download, "Failed to download archive from: "+location, err)
}

// idleBody ends a download that stalls.
type idleBody struct {
	io.ReadCloser
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func newIdleBody(body io.ReadCloser, limit time.Duration, cancel context.CancelCauseFunc) *idleBody {
	return &idleBody{
		ReadCloser: body, limit: limit, cancel: cancel,
		timer: time.AfterFunc(limit, func() { cancel(errIdle) }),
	}
}

func (b *idleBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.timer.Reset(b.limit)
	return n, err
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
