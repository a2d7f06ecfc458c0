package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// maxRedirects of one download, as in 0.12.
const maxRedirects = 20

// open returns the bytes behind a URL and how many there are, -1 if that is
// not known.
func (s *Store) open(ctx context.Context, r Request, target *url.URL) (io.ReadCloser, int64, error) {
	if strings.EqualFold(target.Scheme, "file") {
		return openURL(target)
	}
	resp, err := s.get(ctx, r, target)
	if err != nil {
		return nil, 0, err
	}
	isWhole := resp.StatusCode >= 200 && resp.StatusCode <= 299 && resp.StatusCode != http.StatusPartialContent
	if !isWhole {
		return nil, 0, errors.Join(&statusError{resp.Status}, resp.Body.Close())
	}
	return resp.Body, resp.ContentLength, nil
}

// statusError is the answer of a host that has no archive for us.
type statusError struct{ status string }

func (e *statusError) Error() string { return "the host answered " + e.status }

func openURL(target *url.URL) (io.ReadCloser, int64, error) {
	if target.Host != "" && !strings.EqualFold(target.Host, "localhost") {
		return nil, 0, fmt.Errorf("file URL with the host %q", target.Host)
	}
	f, size, err := openFile(target.Path)
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
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

// patience ends a download that stalls or takes too long. Its timers run from
// the first connection on.
type patience struct {
	limits  Limits
	cancel  context.CancelCauseFunc
	stalled *time.Timer
	overdue *time.Timer
}

// withPatience returns a context that ends with a limitError when a limit of
// time is exceeded.
func withPatience(ctx context.Context, l Limits) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	after := func(limit time.Duration, what, key string) *time.Timer {
		if limit == 0 {
			limit = math.MaxInt64
		}
		return time.AfterFunc(limit, func() { cancel(&limitError{what + limit.String(), key}) })
	}
	return ctx, &patience{
		limits: l, cancel: cancel,
		stalled: after(l.Wait, "no data for ", "archive_download_wait_sec"),
		overdue: after(l.Time, "not complete after ", "archive_max_download_sec"),
	}
}

// renew is called when data has arrived.
func (p *patience) renew() {
	if p.limits.Wait > 0 {
		p.stalled.Reset(p.limits.Wait)
	}
}

// stop ends the download; what it still wants to read fails.
func (p *patience) stop() {
	p.stalled.Stop()
	p.overdue.Stop()
	p.cancel(nil)
}

// progressInterval is how often the log tells how far a download is.
const progressInterval = 5 * time.Second

// transfer counts the bytes of a download that arrive.
type transfer struct {
	name     string // of the archive
	total    int64  // bytes to come in all; -1: not known
	limit    int64  // bytes; 0: none
	stop     func() error
	patience *patience
	log      zerolog.Logger

	n    int64
	next time.Time // of a line in the log
}

// Write takes note of bytes, before they are stored.
func (t *transfer) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	t.patience.renew()
	if err := t.check(t.n); err != nil {
		return 0, err
	}
	if now := time.Now(); !now.Before(t.next) {
		t.next = now.Add(progressInterval)
		t.log.Info().Msgf("Downloading %s: %s bytes", t.name, t.progress())
	}
	return len(p), t.stop()
}

// check judges a size in bytes, known or feared.
func (t *transfer) check(size int64) error {
	if t.limit > 0 && size > t.limit {
		return &limitError{"larger than " + strconv.FormatInt(t.limit, 10) + " bytes", "archive_max_download_bytes"}
	}
	return nil
}

func (t *transfer) progress() string {
	if t.total < 0 {
		return strconv.FormatInt(t.n, 10)
	}
	return fmt.Sprintf("%d of %d", t.n, t.total)
}
