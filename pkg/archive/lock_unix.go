//go:build unix

package archive

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks f until it is closed, also by the end of the process. It returns
// an error when another process, or another open file, has the lock.
func lock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
