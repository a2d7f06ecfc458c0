package auth

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the keys file must be left alone before it is read:
// editors and the kubelet change it in several steps.
const settle = 100 * time.Millisecond

// comeBack is the time between two looks whether the folder that is watched is
// still the one of the keys file: it may be removed, moved and made again.
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
	k.watch(ctx, &folder{path: filepath.Dir(k.cfg.KeysFile), watcher: w})
	return nil
}

func (k *Keys) watch(ctx context.Context, f *folder) {
	w := f.watcher
	if err := f.follow(); err != nil {
		k.cfg.Log.Warn().Err(err).Msg("The folder of token_keys_file cannot be watched; it is tried again")
	}
	due := time.NewTimer(0) // it may have changed since Open
	defer due.Stop()
	back := time.NewTicker(comeBack)
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
			before := f.seen
			if f.follow() == nil && f.seen != before {
				due.Reset(settle)
			}
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

// folder is the directory of the keys file, which is watched because the file is
// replaced more often than written.
type folder struct {
	path    string
	watcher *fsnotify.Watcher
	seen    os.FileInfo // the directory that is watched; nil: none
}

// follow watches the directory that is at the path now, unless it is watched
// already.
func (f *folder) follow() error {
	now, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if f.seen != nil && os.SameFile(f.seen, now) && len(f.watcher.WatchList()) > 0 {
		return nil
	}
	_ = f.watcher.Remove(f.path) // of the old one, which may be gone
	if err := f.watcher.Add(f.path); err != nil {
		return err
	}
	f.seen = now
	return nil
}

// target returns the path of the keys file without links; empty: it is missing.
func (k *Keys) target() string {
	path, err := filepath.EvalSymlinks(k.cfg.KeysFile)
	if err != nil {
		return ""
	}
	return path
}
