package archive

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// Credentials sign downloads from S3. Session is empty for permanent keys.
type Credentials struct {
	AccessKey string // AWS_ACCESS_KEY_ID
	SecretKey string // AWS_SECRET_ACCESS_KEY
	Region    string // AWS_DEFAULT_REGION
	Session   string // AWS_SESSION_TOKEN
}

// Config says where archives come from and where they go. It is not changed
// after New.
type Config struct {
	ModelStore string // absolute; empty: none configured
	WorkDir    string // models are unpacked here, absolute: <temp>/models

	// AllowedURLs are anchored and ignore case; a URL is fetched if one of
	// them matches. None of them: nothing is fetched.
	AllowedURLs []*regexp.Regexp

	// Transport carries downloads; its Proxy is honored. It is cloned, and
	// the clone dials itself, to judge addresses after resolution. Nil: a
	// transport without proxies.
	Transport *http.Transport

	Resolver *net.Resolver // looks up the hosts of URLs; nil: the system's

	Limits         Limits
	StrictSecurity bool // refuse loopback and private addresses, too
	Devices        int  // accelerators of the machine: deviceIds outside are ignored

	// Credentials returns the keys for s3_sse_kms; nil: there are none.
	Credentials func() Credentials

	Now func() time.Time // clock of signatures; nil: time.Now
	Log zerolog.Logger
}

// connectLimit is the time for a connection to one address, and that for the
// handshake of TLS on it.
const connectLimit = 30 * time.Second

// Store opens archives. It is safe for concurrent use.
type Store struct {
	cfg   Config
	log   zerolog.Logger
	work  *workdir
	shelf *shelf
	via   http.RoundTripper
}

// New returns a store; it touches no file before Prepare, Open or List.
func New(cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Credentials == nil {
		cfg.Credentials = func() Credentials { return Credentials{} }
	}
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	}
	return &Store{
		cfg:   cfg,
		log:   cfg.Log,
		work:  &workdir{root: cfg.WorkDir},
		shelf: &shelf{dir: cfg.ModelStore, slots: make(map[string]*slot)},
		via:   newTransport(cfg.Transport, guard{allowed: cfg.AllowedURLs, strict: cfg.StrictSecurity, resolver: cfg.Resolver}),
	}
}

// Prepare claims the work directory, creating it with mode 0700, and removes
// what instances that no longer run have left there and half downloads in the
// store. Open calls it when nobody has.
func (s *Store) Prepare() error {
	if _, err := s.work.claim(); err != nil {
		return &fault.Error{
			Op: "prepare work directory", Subject: s.cfg.WorkDir, Err: err,
			Hint: "point the environment variable TEMP at a directory that this user may write",
		}
	}
	s.shelf.sweep()
	return nil
}

// Close removes all model directories of this instance and its claim on the
// work directory; archives in the store stay (MAR-067). Nothing may be opened
// or removed afterwards.
func (s *Store) Close() error { return s.work.close() }

// Open finds the archive that r names, downloads it where that is allowed,
// unpacks it and reads manifest and model config. It blocks for as long as
// that takes; canceling ctx ends it, with the fault that is its cause if there is
// one. On any error nothing is left behind and a fault says what the client reads: ModelNotFound (no such archive, URL not
// allowed), Download (it could not be fetched), InvalidModel (its content is
// wrong), Internal (it could not be unpacked, or a file of that name is in the
// store already).
func (s *Store) Open(ctx context.Context, r Request) (u *Unpacked, err error) {
	base, err := s.check(r.URL)
	if err != nil {
		return nil, err
	}
	u = &Unpacked{store: s}
	defer func() {
		if err != nil {
			s.discard(u)
			u = nil
		}
	}()
	p, err := s.find(ctx, r, base)
	if err != nil {
		return u, canceled(ctx, err)
	}
	u.claim = p.claim
	if err := s.unpack(ctx, p, r.URL, u); err != nil {
		return u, canceled(ctx, err)
	}
	return u, s.read(r, u)
}

// discard undoes an Open that failed; the caller has an error to report
// already.
func (s *Store) discard(u *Unpacked) {
	if err := u.Remove(); err != nil {
		s.log.Warn().Err(err).Str("path", u.dir()).Msg("Left behind by a failed registration")
	}
}

// canceled returns the reason of ctx if that is why err happened.
func canceled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return &fault.Error{Kind: fault.KindOf(cause), Op: "open archive", Message: fault.Message(cause), Err: err}
	}
	return err
}

// find returns where the archive is, after downloading it if need be.
func (s *Store) find(ctx context.Context, r Request, base string) (place, error) {
	if hasScheme(r.URL) {
		return s.fetch(ctx, r, base)
	}
	return s.local(ctx, r.URL, base)
}

// place is where an archive is: a file, or a directory to be used as it is.
type place struct {
	path  string // absolute
	isDir bool
	claim *claim // on a file of the store, or nil
}

// name is the last component of the path.
func (p place) name() string { return filepath.Base(p.path) }
