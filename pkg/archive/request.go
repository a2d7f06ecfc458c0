package archive

import (
	"errors"
	"path/filepath"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Request names an archive and what a registration overrides.
type Request struct {
	URL            string
	Name           model.Name    // empty: the manifest's
	Handler        *string       // nil: the manifest's
	Runtime        model.Runtime // empty: the manifest's
	DefaultHandler string        // for archives that name none
	Envelope       string        // service_envelope, always the configured one
	S3SSEKMS       bool          // sign the download for S3
	DeriveName     bool          // at start: a model without any name gets one from URL
	Stored         bool          // a download that is in the store is good as it is
}

// Unpacked is a model ready to be registered.
type Unpacked struct {
	Archive model.Archive
	Config  ModelConfig

	store *Store
	id    string // of the directory in the work directory; empty: none yet
	link  string // name of the link in it; empty: the directory is the model
	claim *claim

	once sync.Once
	err  error
}

// Remove removes the model's directory, never the user's own directory behind
// a link, and the archive if it was downloaded and no other model of this
// store uses it. It waits for a download of the same name that is under way.
// Later calls return what the first one did.
func (u *Unpacked) Remove() error {
	u.once.Do(func() {
		u.err = errors.Join(u.store.work.remove(u.id), u.store.shelf.release(u.claim))
	})
	return u.err
}

// dir is the path of the model directory.
func (u *Unpacked) dir() string { return filepath.Join(u.store.cfg.WorkDir, u.id, u.link) }
