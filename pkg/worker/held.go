package worker

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/rs/zerolog"
)

// heldVariable tells our Python package where to keep the lines that it holds back
// until a batch is answered: one that ends its process takes nothing with it.
const heldVariable = "TS_HELD_LINES"

// A file of held lines begins with the offset at which they end, a little-endian
// number; it is of a fixed size.
const (
	heldHead = 4
	heldSize = 1 << 14
)

// readHeld reads what the ranks had held back when they ended as if they had
// printed it, and removes the files.
func (p *process) readHeld(streams streamLog) {
	for rank := range max(p.ranks, 1) {
		path := p.held + "." + strconv.Itoa(rank)
		p.out.read(bytes.NewReader(heldLines(path)), streams.stdout, zerolog.InfoLevel)
		_ = os.Remove(path) // nothing is there unless it was our Python package
	}
}

// heldLines returns the lines of a file, none if there is no such file or it says
// nonsense: it belonged to a process that may have done anything to it.
func heldLines(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // read only
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	content, err := io.ReadAll(io.LimitReader(f, heldSize))
	if err != nil || len(content) < heldHead {
		return nil
	}
	end := int64(binary.LittleEndian.Uint32(content))
	if end < heldHead || end > int64(len(content)) {
		return nil
	}
	return content[heldHead:end]
}
