package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// socketMode lets other users' processes connect, as 0.12 does; the directory
// decides who may.
const socketMode = 0o666

// Open listens on network ("tcp" or "unix") at address (host:port or a path);
// with a Secure that is not nil, clients must speak TLS. A socket that an
// earlier server left behind is replaced, any other file at that path is not.
func Open(ctx context.Context, network, address string, secure *Secure) (net.Listener, error) {
	if network == "unix" {
		if err := removeStale(ctx, address); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, err //nolint:wrapcheck // names network and address already
	}
	if network == "unix" {
		if err := os.Chmod(address, socketMode); err != nil {
			return nil, errors.Join(fmt.Errorf("open the socket to clients: %w", err), l.Close())
		}
	}
	if secure != nil {
		return &secureListener{Listener: l, secure: *secure}, nil
	}
	return plainListener{l}, nil
}

// removeStale deletes the socket of a server that has ended.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at %s: %w", path, err)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s exists and is no socket: remove it or choose another path", path)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = c.Close() // it has told what we wanted to know
		return fmt.Errorf("another server listens at %s", path)
	case !errors.Is(err, syscall.ECONNREFUSED): // nobody listens only if it says so
		return fmt.Errorf("look who listens at %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the old socket: %w", err)
	}
	return nil
}
