package config

import (
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"
)

// Scheme is how a listener is reached.
type Scheme string

// The schemes of addresses.
const (
	PlainHTTP Scheme = "http"
	HTTPS     Scheme = "https"
	Unix      Scheme = "unix"
)

// Role is what a REST listener is for; it decides the port of an address that
// names none.
type Role uint8

// The roles of REST listeners.
const (
	Inference Role = iota
	Management
	MetricsRole
)

// Address is where a REST listener binds: Host and Port, or the Path of a Unix
// socket. Host is as written, IPv6 literals without brackets. Port 0 means any
// free one.
type Address struct {
	Scheme Scheme
	Host   string
	Port   int
	Path   string
}

// The grammar of section 9, with IPv6 literals (D-CFG-14).
var (
	tcpAddress  = regexp.MustCompile(`^(?i)(https?)://(?:\[([0-9a-f:.]+(?:%[^\]/]+)?)\]|([^:^/]+))(?::([0-9]+))?$`)
	unixAddress = regexp.MustCompile(`^(?i)unix:(/.+)$`)
)

// ParseAddress reads a binding address of a listener of the given role. The
// texts of its errors are those of 0.12.
func ParseAddress(text string, role Role) (Address, error) {
	invalid := errors.New("Invalid binding address: " + text)
	if strings.ContainsAny(text, "\r\n\x00") {
		return Address{}, invalid
	}
	if m := unixAddress.FindStringSubmatch(text); m != nil {
		return Address{Scheme: Unix, Path: m[1]}, nil
	}
	m := tcpAddress.FindStringSubmatch(text)
	if m == nil {
		return Address{}, invalid
	}
	a := Address{Scheme: Scheme(strings.ToLower(m[1])), Host: m[2] + m[3]}
	if m[2] != "" && net.ParseIP(strings.SplitN(m[2], "%", 2)[0]) == nil {
		return Address{}, invalid
	}
	if m[4] == "" {
		a.Port = role.port(a.Scheme)
		return a, nil
	}
	port, err := strconv.ParseUint(m[4], 10, 16)
	if err != nil {
		return Address{}, errors.New("Invalid port number: " + text)
	}
	a.Port = int(port)
	return a, nil
}

func (r Role) port(s Scheme) int {
	switch {
	case r == Management && s == HTTPS:
		return 8444
	case r == Management:
		return 8081
	case r == MetricsRole && s == HTTPS:
		return 8445
	case r == MetricsRole:
		return 8082
	case s == HTTPS:
		return 443
	default:
		return 80
	}
}

// Network is the network to listen on: "tcp" or "unix".
func (a Address) Network() string {
	if a.Scheme == Unix {
		return "unix"
	}
	return "tcp"
}

// Endpoint is what to listen on: host and port, or the socket's path.
func (a Address) Endpoint() string {
	if a.Scheme == Unix {
		return a.Path
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// String writes the address as the log and the start-up dump show it.
func (a Address) String() string {
	if a.Scheme == Unix {
		return "unix:" + a.Path
	}
	return string(a.Scheme) + "://" + a.Endpoint()
}

// Same reports whether both addresses are one endpoint. As in 0.12 hosts are
// compared as texts, and http with https is not told apart.
func (a Address) Same(b Address) bool {
	return a.Network() == b.Network() && a.Endpoint() == b.Endpoint()
}

// Loopback reports whether only this machine can reach the address.
func (a Address) Loopback() bool { return a.Scheme == Unix || loopback(a.Host) }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
