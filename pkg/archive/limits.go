package archive

import (
	"errors"
	"syscall"
	"time"
)

// Limits bound what an archive may be, and how long a download may take. Zero
// means no limit.
type Limits struct {
	Entries  int64         // files, directories and links of an archive
	Bytes    int64         // of all unpacked files
	Ratio    int64         // unpacked to packed size; not applied below 16 MiB
	Download int64         // bytes of a downloaded archive
	Time     time.Duration // from the begin of a download to its end
	Wait     time.Duration // for the answer of a host, or for more bytes
}

// limitError says which limit is exceeded, and by which key it is set. Clients
// may read it.
type limitError struct{ what, key string }

func (e *limitError) Error() string { return e.what + " (" + e.key + ")" }

// details returns what a client may read of the cause of a failure.
func details(err error) string {
	if e, ok := errors.AsType[*limitError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.Error()
	}
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		if errors.Is(err, cause) {
			return cause.Error()
		}
	}
	return ""
}
