package auth

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the keys file must be left alone before it is read:
// editors and the kubelet change it in several steps.
const settle = 100 * time.Millisecond

// comeBack is the time between two looks for a folder that was removed or
// moved away while it was watched.
const comeBack = time.Second

// Run watches the keys from outside and takes over what changes; a file that
// breaks the rules is logged and the old keys stay. It returns nil when ctx
// ends, and at once when there is nothing to watch, or no way to: then Reload
// is what remains, and the log says so.
func (k *Keys) Run(ctx context.Context) error {
	if !k.cfg.Enabled || k.cfg.KeysFile == "" {
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		k.cfg.Log.Warn().Err(err).Msg("Changes of token_keys_file are only seen on SIGHUP")
		return nil
	}
	defer w.Close() //nolint:errcheck // nothing depends on it any more
	// The folder, because the file is replaced more often than written.
	if err := w.Add(k.folder()); err != nil {
		k.cfg.Log.Warn().Err(err).Msg("Changes of token_keys_file are only seen on SIGHUP")
		return nil
	}
	k.watch(ctx, w)
	return nil
}

func (k *Keys) watch(ctx context.Context, w *fsnotify.Watcher) {
	due := time.NewTimer(0) // it may have changed since Open
	defer due.Stop()
	back := time.NewTimer(comeBack)
	defer back.Stop()
	target := k.target()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.Events:
			// A Secret is replaced by moving a link to its folder: nothing
			// happens to the file itself, but it leads elsewhere.
			now := k.target()
			if filepath.Base(e.Name) == filepath.Base(k.cfg.KeysFile) || now != target {
				target = now
				due.Reset(settle)
			}
		case <-back.C:
			if len(w.WatchList()) == 0 && w.Add(k.folder()) == nil {
				due.Reset(settle)
			}
			back.Reset(comeBack)
		case err := <-w.Errors:
			k.cfg.Log.Warn().Err(err).Msg("Watching token_keys_file")
			due.Reset(settle) // events may be lost
		case <-due.C:
			if err := k.Reload(); err != nil {
				k.cfg.Log.Error().Err(err).Msg("Token keys not reloaded, the old ones stay")
			}
		}
	}
}

func (k *Keys) folder() string { return filepath.Dir(k.cfg.KeysFile) }

// target returns the path of the keys file without links; empty: it is missing.
func (k *Keys) target() string {
	path, err := filepath.EvalSymlinks(k.cfg.KeysFile)
	if err != nil {
		return ""
	}
	return path
}
