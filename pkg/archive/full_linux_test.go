package archive_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/torchserve-go/torchserve/pkg/archive"
)

// smallDisk is the variable by which TestFullDisk knows that it runs where it
// may mount a disk of its own.
const smallDisk = "ARCHIVE_TEST_SMALL_DISK"

// TestFullDisk runs itself again in a mount namespace of its own, with a small
// disk below the store and the work directory in turn.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getenv(smallDisk) != "" {
		fillDisks(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), smallDisk+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || strings.Contains(string(out), "cannot mount") {
		t.Skipf("no small disk can be mounted here: %v %s", err, out)
	}
	require.NoError(t, err, "%s", out)
}

func fillDisks(t *testing.T) {
	t.Helper()
	big := zipped(t, []entry{{name: "model.bin", content: noise(3 << 20)}})
	h := newHost(t, serve(big))
	mounted := func(t *testing.T, dir string) string {
		t.Helper()
		require.NoError(t, os.MkdirAll(dir, 0o700))
		if err := unix.Mount("small", dir, "tmpfs", 0, "size=1m"); err != nil {
			fmt.Println("cannot mount:", err) //nolint:forbidigo // read by the test that started this one
			os.Exit(1)
		}
		t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
		return dir
	}
	t.Run("below the store", func(t *testing.T) {
		t.Parallel()
		dir := mounted(t, t.TempDir())
		f := newFixture(t, func(cfg *archive.Config) { cfg.ModelStore = dir })
		location := h.URL + "/big.mar"
		for range 2 {
			assert.Equal(t, "no space left on device", f.refused(t, archive.Request{URL: location, Name: "big"}, 400, downloadType, "Failed to download archive from: "+location))
		}
		assert.Empty(t, tree(t, dir))
	})
	t.Run("below the work directory", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(cfg *archive.Config) { cfg.WorkDir = mounted(t, filepath.Join(t.TempDir(), "models")) })
		f.put(t, "big.mar", big)
		for range 2 {
			assert.Equal(t, "no space left on device", f.refused(t, archive.Request{URL: "big.mar", Name: "big"}, 500, internalType, "Failed to save model: big.mar"))
		}
	})
}

// noise is a text that cannot be packed.
func noise(n int) string {
	b := make([]byte, n)
	state := uint32(1)
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = byte(state >> 24)
	}
	return string(b)
}
