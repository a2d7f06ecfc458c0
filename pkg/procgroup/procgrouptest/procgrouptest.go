package procgrouptest

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const ownerRuns = 0o755

// Program writes a program, over one that is there. It can be run at once: no
// process is started meanwhile, which would hold the file open.
func Program[T string | []byte](t testing.TB, path string, content T) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(path, []byte(content), ownerRuns))
}

// Ended reports whether a process is gone, or waits to be buried.
func Ended(pid int) bool {
	state, _, err := stat(pid)
	if err != nil {
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	return state == "Z" || state == "X"
}

// Parent returns the process that a process is a child of, 0 if it is gone.
func Parent(pid int) int {
	_, parent, err := stat(pid)
	if err != nil {
		return 0
	}
	return parent
}

// stat reads what stands behind the name of a process in its /proc/<pid>/stat.
func stat(pid int) (state string, parent int, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return "", 0, errors.New("no state and parent: " + string(text))
	}
	parent, err = strconv.Atoi(fields[1])
	return fields[0], parent, err
}
