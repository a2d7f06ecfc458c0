package auth

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// The logger names under which operators of 0.12 look for the lines of this
// package: of Config.Log and of Config.HandlerLog.
const (
	Logger        = "org.pytorch.serve.util.TokenAuthorization"
	HandlerLogger = "org.pytorch.serve.http.TokenAuthorizationHandler"
)

// MinKeyBytes is the least Config.KeyBytes: the length of 0.12's keys.
const MinKeyBytes = 6

// documentation is the address that the banner names.
const documentation = "https://github.com/torchserve-go/torchserve/blob/main/docs/token_authorization_api.md"

// banner is 0.12's, letter by letter (TOK §11).
//
//nolint:misspell // compat(0.12): spelled like this, TOK-005
const banner = `
######
TorchServe now enforces token authorization by default.
This requires the correct token to be provided when calling an API.
Key file located at %s
Check token authorization documenation for information: %s 
######
`

// Config is what the operator decides. It is kept as it is.
type Config struct {
	Enabled    bool
	DisabledBy string // what switched it off, for the log: "--disable-token-auth"

	KeyFile  string        // path of key_file.json, absolute
	KeyBytes int           // random bytes of a key, MinKeyBytes and more
	Expiry   time.Duration // of inference and management keys; below 1 s: expired at once
	KeysFile string        // keys from outside; empty: the three fields above count

	RefusalStatus  int  // 400, or 401: then also 403 for a key of another kind
	ExemptPing     bool // /ping needs no key
	ProtectMetrics bool // metrics routes need the management key
	CORS           bool // browsers are expected: a preflight needs no key
	ForwardHeader  bool // the routes behind the guard see Authorization

	Refused    func(Scope)      // called for each refused request, concurrently; nil: nobody counts
	Now        func() time.Time // nil: time.Now
	Log        zerolog.Logger   // named Logger
	HandlerLog zerolog.Logger   // named HandlerLogger
}

// Keys are the keys of the server. They are safe for concurrent use.
type Keys struct {
	cfg     Config
	open    []Exemption
	limiter limiter
	ring    atomic.Pointer[ring] // nil while authorization is off

	// Puts those who replace the ring and the file in a row, and is therefore
	// held across file I/O; the check of a request never waits for it.
	mu     sync.Mutex // Protects fields below
	source digest     // of the content of KeysFile that ring holds
	closed bool
}

// Open makes the keys and writes the key file, or reads the keys from outside,
// and logs 0.12's banner; while authorization is off it only logs that. Its
// error names the setting to change; no file is left then. The caller closes
// the Keys, also when a later step of the start fails.
func Open(cfg Config) (*Keys, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Refused == nil {
		cfg.Refused = func(Scope) {}
	}
	k := &Keys{cfg: cfg, open: Exemptions(cfg)}
	if !cfg.Enabled {
		cfg.HandlerLog.Warn().Msg("Token Authorization Disabled by " + cfg.DisabledBy)
		return k, nil
	}
	path, setup := cfg.KeyFile, k.makeKeys
	if cfg.KeysFile != "" {
		path, setup = cfg.KeysFile, k.Reload
	}
	if err := setup(); err != nil {
		cfg.Log.Error().Msg("Token Authorization setup unsuccessful")
		return nil, err
	}
	cfg.Log.Info().Msg(fmt.Sprintf(banner, path, documentation))
	cfg.HandlerLog.Info().Msg("Token Authorization Enabled")
	return k, nil
}

// makeKeys fills the ring at random and writes the key file.
func (k *Keys) makeKeys() error {
	if k.cfg.KeyBytes < MinKeyBytes {
		return &fault.Error{
			Op: "make token keys", Err: fmt.Errorf("%d bytes are too few", k.cfg.KeyBytes),
			Hint: fmt.Sprintf("token_key_bytes must be %d or more", MinKeyBytes),
		}
	}
	if _, err := os.Lstat(k.cfg.KeyFile); err == nil {
		k.cfg.Log.Warn().Msg(k.cfg.KeyFile + " exists already, left by an earlier server or used by another one: it is replaced")
	}
	expires := expiry(k.cfg.Now(), k.cfg.Expiry)
	r := &ring{
		Inference:  generate(k.cfg.KeyBytes, expires),
		Management: generate(k.cfg.KeyBytes, expires),
		API:        generate(k.cfg.KeyBytes, time.Time{}),
	}
	if err := writeKeyFile(k.cfg.KeyFile, r); err != nil {
		return &fault.Error{
			Op: "write token keys", Subject: k.cfg.KeyFile, Err: err,
			Hint: "set token_key_file to a path in a directory that can be written, or token_keys_file to a file with keys",
		}
	}
	k.ring.Store(r)
	return nil
}

// renew replaces the key of one kind, first in the file and then here, so that
// a key that nobody can read never counts (D-TOK-9).
func (k *Keys) renew(kind Scope) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return errors.New("the server is stopping")
	}
	next := *k.ring.Load()
	next[kind] = generate(k.cfg.KeyBytes, expiry(k.cfg.Now(), k.cfg.Expiry))
	if err := writeKeyFile(k.cfg.KeyFile, &next); err != nil {
		return err
	}
	k.ring.Store(&next)
	return nil
}

// Reload reads the keys from outside again, on SIGHUP for example. On an error,
// which names the file and the rule, the old keys stay. Without token_keys_file
// there is nothing to read and nothing happens.
func (k *Keys) Reload() error {
	if !k.cfg.Enabled || k.cfg.KeysFile == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := readKeysFile(k.cfg.KeysFile)
	if err != nil {
		return k.unusable(err)
	}
	source := fingerprint(text)
	if k.ring.Load() != nil && source == k.source {
		return nil
	}
	r, err := parseKeysFile(text)
	if err != nil {
		return k.unusable(err)
	}
	if k.ring.Swap(r) != nil {
		k.cfg.Log.Info().Msg("Token keys reloaded from " + k.cfg.KeysFile)
	}
	k.source = source
	return nil
}

func (k *Keys) unusable(err error) error {
	return &fault.Error{
		Op: "read token keys", Subject: k.cfg.KeysFile, Err: err,
		Hint: "correct the file or the setting token_keys_file",
	}
}

// Close removes key_file.json if it is still this server's (D-TOK-11). Keys
// cannot be renewed afterwards. Closing again does nothing.
func (k *Keys) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || !k.cfg.Enabled || k.cfg.KeysFile != "" {
		return nil
	}
	k.closed = true
	if err := removeKeyFile(k.cfg.KeyFile, k.ring.Load()); err != nil {
		return fmt.Errorf("remove token keys: %w", err)
	}
	return nil
}
