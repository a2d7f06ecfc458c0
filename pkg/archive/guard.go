package archive

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Networks of the second kind of address: those that lead back into the
// machine or the operator's own network. Loopback, private and unspecified
// ones are known to net/netip.
//
//nolint:gochecknoglobals // read-only tables
var (
	sharedNet = netip.MustParsePrefix("100.64.0.0/10") // carrier-grade NAT, RFC 6598

	// embedding are networks of IPv6 addresses that lead to IPv4 ones, which begin
	// at this byte.
	embedding = []struct {
		net netip.Prefix
		at  int
	}{
		{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64
		{netip.MustParsePrefix("64:ff9b:1::/48"), 12},  // NAT64 of one's own, RFC 8215
		{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // SIIT
		{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible, RFC 4291
		{netip.MustParsePrefix("2002::/16"), 2},        // 6to4
	}

	// metadata are addresses beside the link-local ones where clouds keep
	// their credentials.
	metadata = []netip.Addr{
		netip.MustParseAddr("100.100.100.200"),
		netip.MustParseAddr("192.0.0.192"),
		netip.MustParseAddr("fd00:ec2::254"),
	}
)

// addressError is the refusal of an address. url is the redirect that led
// there, empty for the URL that was asked for.
type addressError struct{ host, reason, url string }

func (e *addressError) Error() string { return "host " + e.host + " " + e.reason }

// guard judges the addresses that downloads go to (decisions.md,
// "allowed_urls default").
type guard struct {
	allowed  []*regexp.Regexp
	strict   bool
	resolver *net.Resolver
}

// address judges one address of a host.
func (g guard) address(host string, addr netip.Addr) error {
	addr = destination(addr)
	if isLinkLocal(addr) && !names(g.allowed, host) {
		return &addressError{host: host, reason: "has a link-local address"}
	}
	if g.strict && isInternal(addr) {
		return &addressError{host: host, reason: "has a loopback or private address, which strict_security refuses"}
	}
	return nil
}

// destination returns the IPv4 address that an IPv6 one leads to; others as they
// are, without zone.
func destination(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() || addr.IsLoopback() || addr.IsUnspecified() {
		return addr
	}
	for _, e := range embedding {
		if b := addr.As16(); e.net.Contains(addr) {
			return netip.AddrFrom4([4]byte(b[e.at : e.at+4]))
		}
	}
	return addr
}

func isLinkLocal(addr netip.Addr) bool {
	return slices.Contains(metadata, addr) || addr.IsLinkLocalUnicast() || addr.IsMulticast()
}

func isInternal(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsUnspecified() || sharedNet.Contains(addr)
}

// host judges a host by its spelling, which is all there is behind a proxy. A
// host whose last label is a number is an address: in dotted form, or in one
// of the old forms that only hide it.
func (g guard) host(host string) error {
	host = strings.TrimSuffix(host, ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.address(host, addr)
	}
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	digits := strings.TrimPrefix(last, "0x")
	isNumber := digits == "" && last != "" || digits != "" && strings.Trim(digits, "0123456789") == "" ||
		digits != last && strings.Trim(digits, "0123456789abcdef") == ""
	if isNumber {
		return &addressError{host: host, reason: "is an address in an unusual form"}
	}
	return nil
}

// transport sends requests past the guard. Direct connections are judged by
// the address that they are made to, so that no second look-up can differ.
type transport struct {
	guard   guard
	direct  *http.Transport
	proxied *http.Transport
}

func newTransport(base *http.Transport, g guard) *transport {
	proxied := base.Clone()
	proxied.DisableKeepAlives = true  // downloads are rare, idle connections are a burden
	proxied.DisableCompression = true // an archive is stored as it comes
	proxied.ForceAttemptHTTP2 = true
	proxied.TLSHandshakeTimeout = connectLimit
	if proxied.DialContext == nil {
		proxied.DialContext = (&net.Dialer{Timeout: connectLimit}).DialContext
	}
	direct := proxied.Clone()
	direct.Proxy = nil
	direct.DialContext = g.dial
	return &transport{guard: g, direct: direct, proxied: proxied}
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.send(req)
	if refusal, ok := errors.AsType[*addressError](err); ok && req.Response != nil {
		return nil, &addressError{host: refusal.host, reason: refusal.reason, url: req.URL.String()}
	}
	return resp, err
}

func (t *transport) send(req *http.Request) (*http.Response, error) {
	if err := t.guard.host(req.URL.Hostname()); err != nil {
		return nil, err
	}
	proxy, err := t.proxyOf(req)
	if err != nil {
		return nil, errors.New("the proxy of the environment is not usable")
	}
	if proxy != nil {
		return t.proxied.RoundTrip(req)
	}
	return t.direct.RoundTrip(req)
}

func (t *transport) proxyOf(req *http.Request) (*url.URL, error) {
	if t.proxied.Proxy == nil {
		return nil, nil
	}
	return t.proxied.Proxy(req)
}

// dial connects to an address that the guard admits.
func (g guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host = strings.TrimSuffix(host, ".")
	d := net.Dialer{Timeout: connectLimit, Resolver: g.resolver, ControlContext: func(_ context.Context, _, actual string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(actual)
		if err != nil {
			return err
		}
		return g.address(host, to.Addr())
	}}
	return d.DialContext(ctx, network, address)
}
