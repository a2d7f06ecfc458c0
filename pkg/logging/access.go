package logging

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

// AccessLine is one answered request. Every field is text of the request as it
// came: the log removes secrets and control characters.
type AccessLine struct {
	Remote   string        // host:port of the client; any other text: a unix socket
	Method   string        // of HTTP, or gRPC
	URI      string        // the raw request target; of gRPC, the full method without leading slash
	Protocol string        // HTTP/1.1, HTTP/2.0
	Status   int           // of HTTP, 100 to 999; of gRPC, 0 to 16
	Elapsed  time.Duration // shown as whole milliseconds
}

// AccessLog writes ACCESS_LOG.
type AccessLog struct {
	logs   *Logs
	thread string
	silent bool
}

// Access returns the access log with the thread text that the console shows.
func (l *Logs) Access(thread string) *AccessLog {
	return &AccessLog{logs: l, thread: visible.String(thread), silent: l.levels.of(AccessName) > zerolog.InfoLevel}
}

// Log logs an answered request. It never blocks.
func (a *AccessLog) Log(line AccessLine) {
	if a.silent {
		return
	}
	e := a.logs.take(zerolog.InfoLevel, AccessName, a.thread)
	e.body = line.append(e.body)
	a.logs.send(e, a.logs.own[AccessName])
	a.logs.give(e)
}

// append appends the message of 0.12 (LOG §6):
//
//	/127.0.0.1:64003 "GET /ping HTTP/1.1" 200 4
func (a AccessLine) append(dst []byte) []byte {
	dst = appendRemote(dst, a.Remote)
	dst = append(dst, ` "`...)
	dst = visible.Append(dst, a.Method)
	dst = append(dst, ' ')
	dst = appendTarget(dst, a.URI)
	dst = append(dst, ' ')
	dst = visible.Append(dst, a.Protocol)
	dst = append(dst, `" `...)
	dst = strconv.AppendInt(dst, int64(a.Status), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, a.Elapsed.Milliseconds(), 10)
	return append(dst, '\n')
}

// appendRemote appends an address as Java prints it: with a slash before it,
// IPv6 in brackets and without "::".
func appendRemote(dst []byte, remote string) []byte {
	addrPort, err := netip.ParseAddrPort(remote)
	if err != nil {
		return append(dst, "127.0.0.1"...) // compat(0.12): LOG-015
	}
	addr := addrPort.Addr().Unmap()
	dst = append(dst, '/')
	if addr.Is4() {
		dst = addr.AppendTo(dst)
	} else {
		dst = appendIPv6(dst, addr)
	}
	dst = append(dst, ':')
	return strconv.AppendUint(dst, uint64(addrPort.Port()), 10)
}

func appendIPv6(dst []byte, addr netip.Addr) []byte {
	const before = "[:::::::" // of each group
	all := addr.As16()
	for i := range len(before) {
		dst = append(dst, before[i])
		dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(all[2*i:])), 16)
	}
	if zone := addr.Zone(); zone != "" {
		dst = append(dst, '%')
		dst = visible.Append(dst, zone)
	}
	return append(dst, ']')
}
